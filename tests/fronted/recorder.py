"""An MCP server that writes down every line it is sent: python recorder.py DIRECTORY

DIRECTORY/tools.json is what it lists, read anew each time, or "never", or "zero": a list under the id 0; DIRECTORY/received is
what it was sent. The tool `hang` never answers, the tool `late` when it is sent a `ping`, the tool `broken` with an error, and
the method `noise` has it write what is no message. It
speaks both eras of the protocol, as far as a tool needs them.
"""

import json
import sys

directory = sys.argv[1]

# No answer.
NEVER = {}

# The calls that are not answered yet.
late = []


def result_of(method, params):
    if method == "initialize":
        server = {"name": "recorder", "version": "1"}
        return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": server}
    if method == "server/discover":
        return {"resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
    if method == "tools/list":
        with open(directory + "/tools.json", encoding="utf-8") as tools:
            listed = json.load(tools)
            if listed == "zero":
                print(json.dumps({"jsonrpc": "2.0", "id": 0, "result": {"tools": []}}), flush=True)
            return NEVER if listed in ("never", "zero") else {"resultType": "complete", "tools": listed}
    if method == "tools/call":
        return {"resultType": "complete", "content": [{"type": "text", "text": "ran " + params["name"]}]}
    return None


for line in sys.stdin.buffer:
    with open(directory + "/received", "ab") as received:
        received.write(line)
    message = json.loads(line)
    params = message.get("params", {})
    if "id" not in message or "method" not in message or params.get("name") == "hang":
        continue
    if params.get("name") == "late":
        late.append(message["id"])
        continue
    if message["method"] == "ping":
        for identifier in late:
            print(json.dumps({"jsonrpc": "2.0", "id": identifier, "result": {"content": []}}), flush=True)
        late.clear()
    if message["method"] == "noise":
        print("what is no message", flush=True)
        continue
    if message["method"] == "tools/call" and params.get("name") == "broken":
        error = {"code": -32602, "message": "no such table"}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": error}), flush=True)
        continue
    result = result_of(message["method"], params)
    if result is NEVER:
        continue
    answer = {"error": {"code": -32601, "message": "no such method"}} if result is None else {"result": result}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer}), flush=True)
