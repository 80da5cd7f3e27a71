// outbox.ts: what one connection has to say at the end of the tick. Its arrays are filled by the connection alone.
import type { HeartbeatReply, Notice, Reply, Welcome, Error as WireError } from "@forelock/protocol";
import type { Outgoing } from "./frame/write.ts";

export class Outbox {
  welcome: Welcome | undefined;
  replies: Reply[] = [];
  notices: Notice[] = [];
  heartbeats: HeartbeatReply[] = [];

  /** Only replies: what there is to say nearly always. */
  get isReplies(): boolean {
    return (
      this.replies.length > 0 && this.welcome === undefined && this.notices.length === 0 && this.heartbeats.length === 0
    );
  }

  /** Everything gathered, with `closing` last. The outbox is empty afterwards. */
  take(closing: WireError | undefined): Outgoing {
    const { welcome, replies, notices, heartbeats } = this;
    this.welcome = undefined;
    this.replies = [];
    this.notices = [];
    this.heartbeats = [];
    return { welcome, replies, notices, heartbeats, closing };
  }
}
