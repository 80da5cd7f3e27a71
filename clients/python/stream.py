#!/usr/bin/python3
"""The same over one Session stream: frames both ways, operations numbered by the client, answers in any order.

    /usr/bin/python3 clients/python/stream.py 127.0.0.1:7420
"""

import queue
import sys

import grpc

import forelock_proto

messages, services = forelock_proto.load()

ANSWER_SECONDS_MAX = 10


class Session:
    """A session over one stream. A program that lives longer adds a second stream for heartbeats and resumes after a cut."""

    def __init__(self, channel):
        self.frames = queue.Queue()
        self.sequence = 0
        self.answers = services.ForelockStub(channel).Session(iter(self.frames.get, None), timeout=ANSWER_SECONDS_MAX)
        self.frames.put(messages.ClientFrame(hello=messages.Hello(version=1, ttl_ms=30_000, client="stream.py")))
        self.welcome = next(self.answers).welcome

    def ask(self, **operation):
        """Sends one operation and waits for its end: the reply, or the notice that ends what was queued."""
        self.sequence += 1
        request = messages.Operation(sequence=self.sequence, **operation)
        self.frames.put(messages.ClientFrame(lowest_unanswered=self.sequence, operations=[request]))
        for frame in self.answers:
            if frame.HasField("closing"):
                raise SystemExit(f"the server ended the stream: {frame.closing.code}")
            ends = [reply for reply in frame.replies if reply.sequence == self.sequence]
            ends += [notice.operation for notice in frame.notices if notice.operation.sequence == self.sequence]
            for end in ends:
                body = getattr(end, end.WhichOneof("body")) if isinstance(end, messages.Reply) else end
                if getattr(body, "state", None) != messages.OPERATION_STATE_QUEUED:
                    return body
        raise SystemExit("the stream ended without an answer")

    def notice(self, kind):
        """Waits for the next notice of a kind, such as `warning`; others are passed over."""
        for frame in self.answers:
            for notice in frame.notices:
                if notice.WhichOneof("body") == kind:
                    return getattr(notice, kind)
        raise SystemExit(f"the stream ended without a {kind}")

    def close(self):
        self.ask(close_session=messages.CloseSessionRequest())
        self.frames.put(None)


def acquire(session):
    reply = session.ask(acquire=messages.AcquireRequest(name="python/stream", wait_ms=5_000))
    if not isinstance(reply, messages.AcquireReply) or reply.state != messages.OPERATION_STATE_GRANTED:
        raise SystemExit(f"not granted: {reply}")
    print("granted")
    return reply.grants[0].token


def append(session, content, token):
    return session.ask(append=messages.AppendRequest(file="python/stream", bytes=content, token=token))


def release(session, token):
    return session.ask(release=messages.ReleaseRequest(name="python/stream", token=token))


def main(address):
    with grpc.insecure_channel(address) as channel:
        session = Session(channel)
        print("opened a session")
        first = acquire(session)
        print(f"appended, length {append(session, b'first' + bytes([10]), first).length}")
        release(session, first)
        print("released")

        second = acquire(session)
        assert second > first, "tokens rise"
        refused = append(session, b"too late\n", first)
        if not isinstance(refused, messages.Error):
            raise SystemExit("a stale token was accepted")
        print(f"refused with {refused.code}")
        release(session, second)
        session.close()
        print("closed the session")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:7420")
