"""MiniStack as a process of its own, and how to reach it."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import boto3


def credentials(port):
    """An environment that sends every AWS call to MiniStack."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def start(port, directory, authorized=False):
    """MiniStack, with an environment that sends the functions' AWS calls back to it."""
    told = {
        "AUTH": str(authorized).lower(),
        "PATH": os.environ["PATH"],
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        **credentials(port),
    }
    log = open(directory / "ministack.log", "w")
    command = [Path(sys.executable).parent / "ministack"]
    process = subprocess.Popen(command, env=told, cwd=directory, stdout=log, stderr=log)
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        assert process.poll() is None, "MiniStack ended"
        time.sleep(0.1)
    process.kill()
    sys.exit("MiniStack does not answer")


def client(port, service, access_key="test", secret_key="test"):
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
    )
