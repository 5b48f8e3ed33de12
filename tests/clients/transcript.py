"""What a server answers, one line of JSON a step: python transcript.py SERVERS_FILE NAME MODE STEPS

SERVERS_FILE is what MCP clients have: {"mcpServers": {NAME: {"command": …, "args": […], "env": {…}} or {"url": …}}}.
MODE is `auto` or `legacy`. STEPS is a list of lists, such as ["call", "echo", {"message": "hello"}].
"""

import base64
import json
import re
import sys

import anyio
import mcp_types as types
from mcp import Client, MCPError, StdioServerParameters

heard = []
arrived = anyio.Event()


def plain(value):
    """As JSON, without what differs from one run to the next: moments, and ids that a server chose at random."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        if isinstance(value.get("blob"), str):
            value = {**value, "blob": base64.b64decode(value["blob"]).decode("utf-8", "replace")}
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, str):
        value = re.sub(r"\d{1,2}:\d{2}:\d{2}( [AP]M)?", "TIME", value)
        value = re.sub(r"accessed: .*", "accessed: THEN", value)
        value = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", value)
    return value


def dump(model):
    return model.model_dump(by_alias=True, exclude_none=True, mode="json") if model is not None else None


def tell(step, **more):
    print(json.dumps({"step": step, **plain(more)}, sort_keys=True), flush=True)


async def hear(message):
    global arrived
    if isinstance(message, Exception):
        return
    heard.append(dump(message))
    arrived.set()
    arrived = anyio.Event()


async def wait_until_heard(text):
    while True:
        for message in heard:
            if text in json.dumps(message):
                return message
        await arrived.wait()


async def elicited(_context, params):
    tell("the server asks the human", params=dump(params))
    content = {"name": "Alex", "check": True, "integer": 7} if hasattr(params, "requested_schema") else None
    return types.ElicitResult(action="accept", content=content)


async def sampled(_context, params):
    tell("the server asks the model", params=dump(params))
    content = types.TextContent(type="text", text="A sample")
    return types.CreateMessageResult(role="assistant", content=content, model="none", stop_reason="endTurn")


async def roots(_context):
    return types.ListRootsResult(roots=[types.Root(uri="file:///tmp/somewhere", name="somewhere")])


async def call(client, tool, arguments):
    progress = []

    async def on_progress(done, total, message):
        progress.append([done, total, message])

    result = dump(await client.call_tool(tool, arguments, progress_callback=on_progress))
    return {"result": result, "progress": progress}


async def complete(client, prompt, name, value, context):
    ref = types.PromptReference(type="ref/prompt", name=prompt)
    return dump(await client.complete(ref, {"name": name, "value": value}, context_arguments=context))


async def take(client, kind, *rest):
    listing = {
        "tools": client.list_tools,
        "resources": client.list_resources,
        "templates": client.list_resource_templates,
        "prompts": client.list_prompts,
        "read": client.read_resource,
        "prompt": client.get_prompt,
        "log_level": client.set_logging_level,
        "subscribe": client.subscribe_resource,
        "unsubscribe": client.unsubscribe_resource,
        "ping": client.send_ping,
    }
    match kind:
        case "server":
            about = [client.server_info, client.server_capabilities]
            return [client.protocol_version, client.instructions, *map(dump, about)]
        case "call":
            return await call(client, *rest)
        case "complete":
            return await complete(client, *rest)
        case "heard":
            return await wait_until_heard(*rest)
        case _:
            return dump(await listing[kind](*rest))


async def main():
    path, name, mode, steps = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        server = json.load(file)["mcpServers"][name]
    if "url" in server:
        server = server["url"]
    else:
        server = StdioServerParameters(**server)
    callbacks = {
        "elicitation_callback": elicited,
        "sampling_callback": sampled,
        "list_roots_callback": roots,
        "message_handler": hear,
    }
    async with Client(server, mode=mode, **callbacks) as client:
        for step in json.loads(steps):
            with anyio.fail_after(60):
                try:
                    tell(step, answer=await take(client, *step))
                except MCPError as error:
                    tell(step, error=dump(error.error))


anyio.run(main)
