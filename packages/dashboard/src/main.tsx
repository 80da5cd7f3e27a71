// main.tsx: the entry of the dashboard: puts it into the page.
import { render } from "preact";
import { App } from "./app.tsx";
import "./style.css";
import "./cluster/cluster.css";

const place = document.getElementById("app");
if (place !== null) render(<App />, place);
