#!/usr/bin/python3
"""One lock with unary calls: opens a session, acquires, appends, is refused with a stale token, releases.

    /usr/bin/python3 clients/python/unary.py 127.0.0.1:7420
"""

import sys

import grpc

import forelock_proto

messages, services = forelock_proto.load()


def code_of(error):
    """The code of docs/errors.md, which comes beside the status of gRPC."""
    told = dict(error.trailing_metadata() or ())
    return told.get("forelock-code", error.code().name)


def main(address):
    with grpc.insecure_channel(address) as channel:
        forelock = services.ForelockStub(channel)

        # A session lives as long as heartbeats come; this program ends long before its ttl of 30 seconds.
        opened = forelock.OpenSession(messages.OpenSessionRequest(ttl_ms=30_000, client="unary.py"))
        session = (("forelock-session", opened.session),)
        print("opened a session")

        first = acquire(forelock, session)
        appended = append(forelock, session, b"first\n", first)
        print(f"appended, length {appended.length}")
        forelock.Heartbeat(messages.HeartbeatRequest(number=1), metadata=session)
        forelock.Release(messages.ReleaseRequest(name="python/unary", token=first), metadata=session)
        print("released")

        # Someone who slept through the release must not write any more.
        second = acquire(forelock, session)
        assert second > first, "tokens rise"
        try:
            append(forelock, session, b"too late\n", first)
            raise SystemExit("a stale token was accepted")
        except grpc.RpcError as error:
            print(f"refused with {code_of(error)}")
        forelock.Release(messages.ReleaseRequest(name="python/unary", token=second), metadata=session)

        told = forelock.ReadFile(messages.ReadFileRequest(file="python/unary"))
        assert told.bytes.endswith(b"first\n") and b"too late" not in told.bytes
        forelock.CloseSession(messages.CloseSessionRequest(), metadata=session)
        print("closed the session")


def acquire(forelock, session):
    reply = forelock.Acquire(messages.AcquireRequest(name="python/unary", wait_ms=5_000), metadata=session)
    # A unary acquire answers at once. While it is queued, GetOperation waits for its end.
    while reply.state == messages.OPERATION_STATE_QUEUED:
        question = messages.GetOperationRequest(reference=reply.reference, wait_ms=5_000)
        reply = forelock.GetOperation(question, metadata=session)
    if reply.state != messages.OPERATION_STATE_GRANTED:
        raise SystemExit(f"not granted: {reply.error.code}")
    token = reply.grants[0].token
    print("granted")
    return token


def append(forelock, session, content, token):
    request = messages.AppendRequest(file="python/unary", bytes=content, token=token)
    return forelock.Append(request, metadata=session)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:7420")
