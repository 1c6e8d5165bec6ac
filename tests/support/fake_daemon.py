#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A zooparalleld that misbehaves on demand, for what the real one does too rarely to be tested.

FAKE_MODE  finish: a short job, gone before anybody could ask; slow: a job that runs until it is
           cancelled; commit: one that is past cancelling and completes soon after it; deaf: the same, but neither cancel nor SIGTERM helps; die: it kills itself in
           the middle of the job; refuse: the spec goes to invalid/; usage: it does not like its settings
FAKE_LOG   a file that gets its process ID, its arguments and the NOTIFY_SOCKET that it was given
"""
import json
import os
import signal
import socketserver
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

MODE = os.environ.get("FAKE_MODE", "finish")
ID = "20261122T101502123Z"


class Job:
    def __init__(self, settings):
        self.spool, self.state = Path(settings["spool_dir"]), Path(settings["state_dir"])
        self.spec = next((self.spool / "incoming").iterdir())
        self.started = time.monotonic()
        self.ended = threading.Event()

    def view(self, state="running", reason=None, message=""):
        seconds = time.monotonic() - self.started
        rows = int(seconds * 1000)
        return {"id": ID, "name": self.spec.stem, "state": state, "reason": reason, "message": message,
                "phase": "converting" if state == "running" else "finished",
                "total_processed": rows, "success_count": rows, "error_count": 0, "filtered": 0,
                "items_per_second": 1000, "progress": min(seconds / 60, 1), "eta_seconds": 60 - seconds,
                "duration_seconds": seconds, "ram_bytes": 1 << 20,
                "pipes": [{"input": "in.csv", "output": "out.jsonl", "errors": None}]}

    def end(self, state, reason):
        folder = self.state / "jobs" / ID
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "result.json").write_text(json.dumps(self.view(state, reason, "as asked")))
        self.ended.set()

    def refuse(self):
        invalid = self.spool / "invalid"
        invalid.mkdir()
        (invalid / f"{ID}.{self.spec.name}.error.json").write_text(json.dumps({"error": "I do not like it"}))


def handler_of(job):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def address_string(self):
            return "unix"

        def log_message(self, *arguments):
            pass

        def answer(self, status, document):
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            self.answer(200, {"jobs": [job.view()], "next": None})

        def do_POST(self):
            if MODE == "commit":
                self.answer(409, {"detail": "the job has ended already"})
                threading.Timer(0.5, job.end, ["completed", "ok"]).start()
                return
            self.answer(200, {"id": ID, "detail": "cancelled"})
            if MODE == "slow" and self.path == f"/api/v1/jobs/{ID}/cancel":
                job.end("aborted", "cancelled")

    return Handler


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def main():
    settings = dict(text.split("=", 1) for text in sys.argv if "=" in text)
    if "FAKE_LOG" in os.environ:
        Path(os.environ["FAKE_LOG"]).write_text(json.dumps(
            {"pid": os.getpid(), "arguments": sys.argv, "notify": os.environ.get("NOTIFY_SOCKET")}))
    print("warning: this is not the real one", file=sys.stderr, flush=True)
    if MODE == "usage":
        print("error: unknown key", file=sys.stderr)
        return 2
    job = Job(settings)
    if MODE == "refuse":
        job.refuse()
        return 0
    if MODE == "finish":
        job.end("completed", "ok")
        return 0
    if MODE == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server = Server(f"{settings['run_dir']}/control.sock", handler_of(job))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    if MODE == "die":
        time.sleep(0.5)
        print("about to fall over", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    job.ended.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
