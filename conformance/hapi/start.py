# SPDX-License-Identifier: Apache-2.0
"""How HAPI is started: see Hapi.java."""
import os


def command(folder):
    return lambda port, scratch, page: [
        "java", "-Xmx1500m", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{folder}/classes:{folder}/lib/*",
        "Hapi", str(port), os.path.join(scratch, "tomcat"), str(page)]
