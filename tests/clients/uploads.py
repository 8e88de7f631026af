"""An application that starts a task for each upload: `PUT /NAME` stores a video and runs the task that makes its picture.

usage: uploads.py FOLDER. Prints its address, and answers with the ARN of the task. The environment has the endpoint of
ECS and the keys. On AWS the videos would be in a bucket; here task and application share a folder.
"""

import os
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3

MAX_BYTES = 100 << 20


def run_task(video, picture):
    """Runs the task for a video. The token makes a repeated upload start nothing while the first one is handled."""
    environment = [{"name": "THUMBNAIL_INPUT", "value": str(video)}, {"name": "THUMBNAIL_OUTPUT", "value": str(picture)}]
    response = boto3.client("ecs").run_task(
        taskDefinition="thumbnail-on-demand", launchType="FARGATE", startedBy="uploads", clientToken=video.name,
        networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
        overrides={"containerOverrides": [{"name": "thumbnail", "environment": environment}]})
    if response["failures"]:
        raise RuntimeError(response["failures"][0]["reason"])
    return response["tasks"][0]["taskArn"]


class Upload(BaseHTTPRequestHandler):
    def do_PUT(self):
        name, length = self.path.removeprefix("/"), int(self.headers.get("content-length", 0))
        if not re.fullmatch(r"[a-z0-9-]{1,40}\.mp4", name) or length > MAX_BYTES:
            self.send_error(400, "a name such as cat.mp4 is needed, and at most 100 MiB")
            return
        video = self.server.folder / name
        video.write_bytes(self.rfile.read(length))
        answer = run_task(video, video.with_suffix(".jpg")).encode()
        self.send_response(202)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upload)
    server.folder = Path(os.path.abspath(sys.argv[1]))
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
