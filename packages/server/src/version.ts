/** Of the server, the client and the protocol, which are released together. A test compares it with package.json. */
export const VERSION = "0.1.0";
