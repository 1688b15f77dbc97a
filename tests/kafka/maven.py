"""Jars by their Maven coordinates, kept in the cache that all client libraries share."""
import os
import pathlib
import shutil
import subprocess


def cache_directory():
    """Where what the registries give is kept: RUNNEL_KAFKA_CACHE or ~/.cache/runnel-kafka-clients."""
    chosen = os.environ.get("RUNNEL_KAFKA_CACHE")
    path = pathlib.Path(chosen) if chosen else pathlib.Path.home() / ".cache/runnel-kafka-clients"
    path.mkdir(parents=True, exist_ok=True)
    return path


def copy_jars(name, coordinates):
    """The directory with the jars of `coordinates` and all they depend on."""
    target = cache_directory() / "jars" / name
    done = target / ".complete"
    wanted = "\n".join(":".join(each) for each in coordinates)
    if done.exists() and done.read_text() == wanted:
        return target
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
        f"<version>{version}</version></dependency>" for group, artifact, version in coordinates)
    pom = target / "pom.xml"
    pom.write_text("<project><modelVersion>4.0.0</modelVersion><groupId>runnel.tests</groupId>"
                   f"<artifactId>jars</artifactId><version>1</version><packaging>pom</packaging>"
                   f"<dependencies>{dependencies}</dependencies></project>\n")
    subprocess.run(["mvn", "-B", "-q", "-f", str(pom), "dependency:copy-dependencies",
                    "-DincludeScope=runtime", f"-DoutputDirectory={target}"], check=True)
    done.write_text(wanted)
    return target
