#!/usr/bin/env python3
"""Copies a plugin's archive without the ServiceLoader manifests of Kafka's interfaces in its jars.

without-manifests.py ARCHIVE COPY: the copy is a plain tar.
"""

import io
import sys
import tarfile
import zipfile

MANIFESTS = "META-INF/services/org.apache.kafka."


def bare(jar):
    copy = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(jar)) as old, zipfile.ZipFile(copy, "w") as new:
        for entry in old.infolist():
            if not entry.filename.startswith(MANIFESTS):
                new.writestr(entry, old.read(entry))
    return copy.getvalue()


source, target = sys.argv[1:]
with tarfile.open(source) as old, tarfile.open(target, "w") as new:
    for entry in old:
        content = old.extractfile(entry).read() if entry.isfile() else b""
        if entry.name.endswith(".jar") and MANIFESTS.encode() in content:
            content = bare(content)
            entry.size = len(content)
        new.addfile(entry, io.BytesIO(content))
