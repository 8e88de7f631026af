"""Forwards AWS calls to an endpoint, and checks every answer with botocore's model of the operation.

usage: ecs_answers.py http://127.0.0.1:PORT

The first line that it prints is its own endpoint. At SIGTERM it prints each fault, the operations, and a summary; it
exits 1 if there is a fault. Requests are forwarded with their headers, so signatures stay valid. Clients parse answers
leniently: they ignore unknown members, and members that have another type often too.
"""

import http.client
import json
import re
import signal
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import botocore.session
from botocore.parsers import create_parser

SERVICES = {"AmazonEC2ContainerServiceV20141113": "ecs", "AnyScaleFrontendService": "application-autoscaling"}
# Errors that every AWS API has, which are not in its model.
COMMON_ERRORS = {
    "AccessDeniedException", "IncompleteSignatureException", "InvalidSignatureException", "MissingAuthenticationTokenException",
    "SerializationException", "ServiceUnavailableException", "ThrottlingException", "TooManyRequestsException", "UnknownOperationException",
    "UnrecognizedClientException", "ValidationException",
}
TYPES = {"string": str, "boolean": bool, "integer": int, "long": int, "float": (int, float), "double": (int, float),
         "timestamp": (int, float), "structure": dict, "map": dict, "list": list}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def value_faults(value, shape, path):
    """Yields what is wrong in a value of an answer."""
    kind = shape.type_name
    if not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        yield f"{path}: {value!r} is no {kind}"
    elif kind == "structure":
        for name in shape.required_members:
            if name not in value:
                yield f"{path}.{name}: is required"
        for name, inner in value.items():
            if name in shape.members:
                yield from value_faults(inner, shape.members[name], f"{path}.{name}")
            else:
                yield f"{path}.{name}: is unknown"
    elif kind == "list":
        for inner in value:
            yield from value_faults(inner, shape.member, f"{path}[]")
    elif kind == "map":
        for key, inner in value.items():
            yield from value_faults(inner, shape.value, f"{path}.{key}")
    elif kind == "string" and shape.enum and value not in shape.enum:
        yield f"{path}: `{value}` is not one of {', '.join(shape.enum)}"
    elif kind == "timestamp" and not 1.5e9 < value < 5e9:
        # Milliseconds, or zero.
        yield f"{path}: {value} are no seconds since 1970"


def error_faults(body, operation):
    """Yields what is wrong in an error of the JSON protocol."""
    code = str(body.get("__type", "")).rsplit("#", 1)[-1]
    shapes = {shape.name: shape for shape in operation.error_shapes}
    if not code:
        yield "an error without __type"
    elif code not in shapes and code not in COMMON_ERRORS:
        yield f"{code} is no error of this operation"
    # AWS writes the member in either case.
    message = body.get("message", body.get("Message"))
    if not message or not isinstance(message, str):
        yield f"{code}: no message"
    members = {name: inner for name, inner in body.items() if name not in ("__type", "message", "Message")}
    if members and code in shapes:
        yield from value_faults(members, shapes[code], code)
    elif members:
        yield f"{code}: unknown members {sorted(members)}"


class Checker:
    def __init__(self):
        session = botocore.session.Session()
        self.models = {name: session.get_service_model(name) for name in [*SERVICES.values(), "sts"]}
        self.operations, self.faults, self.lock = Counter(), [], threading.Lock()

    def check(self, target, request, status, headers, body):
        name, faults = self.faults_of(target, request, status, headers, body)
        with self.lock:
            self.operations[name] += 1
            self.faults += [f"{name} {status}: {fault}" for fault in faults]

    def faults_of(self, target, request, status, headers, body):
        if not target:
            name = parse_qs(request.decode(errors="replace")).get("Action", ["no action"])[0]
            return name, list(self.query_faults(name, status, headers, body))
        service, _, name = target.partition(".")
        model = self.models[SERVICES[service]]
        if name not in model.operation_names:
            return name, [] if status == 400 else ["an operation that does not exist must be refused"]
        return name, list(self.json_faults(model.operation_model(name), status, headers, body))

    def json_faults(self, operation, status, headers, body):
        if headers.get("content-type") != "application/x-amz-json-1.1":
            yield f"content-type {headers.get('content-type')}"
        if not UUID.fullmatch(headers.get("x-amzn-requestid", "")):
            yield f"x-amzn-requestid {headers.get('x-amzn-requestid')}"
        try:
            value = json.loads(body)
        except ValueError as why:
            yield f"the body is no JSON: {why}"
            return
        if not isinstance(value, dict):
            yield "the body is no object"
        elif status == 200 and operation.output_shape:
            yield from value_faults(value, operation.output_shape, operation.output_shape.name)
        elif status == 200:
            yield from (f"{name}: is unknown" for name in value)
        else:
            yield from error_faults(value, operation)

    def query_faults(self, name, status, headers, body):
        """Yields what is wrong in an answer of STS, which is XML."""
        operation = self.models["sts"].operation_model(name)
        response = {"status_code": status, "headers": headers, "body": body}
        parsed = create_parser("query").parse(response, operation.output_shape)
        if status == 200:
            # All members of this operation are always there.
            missing = set(operation.output_shape.members) - set(parsed)
            yield from (f"{member} is missing" for member in missing)
        elif not parsed["Error"].get("Code") or not parsed["Error"].get("Message"):
            yield "an error without Code and Message"
        if not UUID.fullmatch(parsed["ResponseMetadata"].get("RequestId", "")):
            yield "no RequestId"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 120

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        connection = http.client.HTTPConnection(self.server.address, timeout=60)
        try:
            connection.putrequest("POST", self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            # The client must see the same.
            self.close_connection = True
            return
        finally:
            connection.close()

        headers = {name.lower(): value for name, value in answer.getheaders()}
        self.server.checker.check(self.headers.get("x-amz-target"), body, answer.status, headers, content)
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def main(endpoint):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.address, server.checker = urlsplit(endpoint).netloc, Checker()
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()

    checker = server.checker
    for fault, count in Counter(checker.faults).items():
        print(f"{fault} ({count} times)")
    print(" ".join(sorted(checker.operations)))
    print(f"{checker.operations.total()} answers, {len(checker.faults)} faults")
    return 1 if checker.faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
