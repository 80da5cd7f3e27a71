#!/usr/bin/python3
"""A holder that is warned of its pre-emption: it is told why and how long it has, acknowledges, saves its work, and releases in time.

    /usr/bin/python3 clients/python/warning.py 127.0.0.1:7420
"""

import sys

import grpc

from stream import Session, messages

NAME = "python/warning"


def main(address):
    with grpc.insecure_channel(address) as channel:
        holder, operator = Session(channel), Session(channel)
        acquired = holder.ask(acquire=messages.AcquireRequest(name=NAME, wait_ms=5_000))
        print("granted")

        # As a forecast would do it, where the policy is `warn` or `enforce` and somebody waits.
        operator.ask(warn=messages.WarnRequest(name=NAME, reason="deploy", countdown_ms=5_000))

        warning = holder.notice("warning")
        print(f"warned: {warning.reason}, to release within {warning.countdown_ms / 1_000:.0f} s")
        # Until it is acknowledged, copies with the same `warning` keep coming: act on the first.
        acknowledge = messages.AcknowledgeRequest(warning=warning.warning, name=warning.name)
        print(holder.ask(acknowledge=acknowledge).state)
        # ... here the work is saved ...
        holder.ask(release=messages.ReleaseRequest(name=NAME, token=acquired.grants[0].token))
        print("released")

        late = operator.ask(warn=messages.WarnRequest(name=NAME, reason="again"))
        print(f"nobody to warn: {late.code}")
        holder.close()
        operator.close()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:7420")
