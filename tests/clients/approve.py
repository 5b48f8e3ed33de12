"""Asks Sayso for approval and waits for the answer.

    pip install mcp
    SAYSO_AGENT_KEY=... python approve.py
"""

import asyncio
import os

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

URL = os.environ.get("SAYSO_MCP_URL", "http://127.0.0.1:8787/mcp")
KEY = os.environ["SAYSO_AGENT_KEY"]

REQUEST = {
    "tool": "drop_table",
    "arguments": {"database": "customers", "table": "orders_2019"},
    "summary": "Drop the orders of 2019",
}


async def main():
    headers = {"Authorization": f"Bearer {KEY}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(URL, http_client=http)) as sayso,
    ):
        tools = (await sayso.list_tools()).tools
        print("tools:", ", ".join(tool.name for tool in tools))

        async def call(name, arguments):
            result = await sayso.call_tool(name, arguments)
            if result.is_error:
                raise SystemExit(result.content[0].text)
            return result.structured_content

        asked = await call("request_approval", REQUEST)
        print(f"asked {asked['approver']}: {asked['status_url']}", flush=True)

        answer = asked
        while answer["status"] == "pending":
            answer = await call("check_approval", {"approval_id": asked["approval_id"]})
        print(answer["status"])
        print(answer.get("approval_token", answer["next"]))


asyncio.run(main())
