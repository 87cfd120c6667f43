"""Begins a GET every few milliseconds over a new connection, whatever became of the ones before, and
writes a line for each that ended: when it began and ended (seconds since 1970) and its outcome.

    door_client.py HOST PORT USER:PASSWORD-FILE PATH OUTPUT EVERY_MS

Outcomes: the status code; `refused`, no connection; `cut`, a connection that broke without an answer;
`late`, no answer within a minute."""

import base64
import socket
import sys
import threading
import time

LIMIT = 60


def ask(address, request):
    try:
        peer = socket.create_connection(address, LIMIT)
    except TimeoutError:
        return "late"
    except OSError:
        return "refused"
    with peer:
        try:
            peer.sendall(request)
            answer = b""
            while b"\r\n" not in answer:
                part = peer.recv(4096)
                if not part:
                    return "cut"
                answer += part
            while peer.recv(65536):
                pass
        except TimeoutError:
            return "late"
        except OSError:
            return "cut"
        return answer.split(b" ")[1].decode()


def main():
    host, port, login, path, output, every = sys.argv[1:]
    token = base64.b64encode(open(login, "rb").read()).decode()
    head = [f"GET {path} HTTP/1.1", f"Host: {host}", f"Authorization: Basic {token}", "Connection: close"]
    request = ("\r\n".join(head) + "\r\n\r\n").encode()
    lines = open(output, "a", buffering=1)
    lock = threading.Lock()

    def once():
        began = time.time()
        outcome = ask((host, int(port)), request)
        with lock:
            lines.write(f"{began:.4f} {time.time():.4f} {outcome}\n")

    while True:
        threading.Thread(target=once, daemon=True).start()
        time.sleep(int(every) / 1000)


main()
