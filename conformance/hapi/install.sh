#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fetches HAPI FHIR's JPA server and what it stands on from Maven Central into build/conformance/hapi, and compiles our launcher.
# Needs a JDK 17 and Maven (Debian: openjdk-17-jdk-headless, maven). About 320 MB. Does nothing where all is in place.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
into=${1:-$here/../../build/conformance/hapi}
for tool in java javac mvn; do
  command -v "$tool" >/dev/null || { echo "install.sh: $tool is missing: apt-get install openjdk-17-jdk-headless maven" >&2; exit 1; }
done
mkdir -p "$into/lib"
into=$(cd "$into" && pwd)
if ! cmp -s "$here/pom.xml" "$into/pom.xml"; then
  rm -rf "$into/lib" "$into/classes"
  mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$into/lib"
  rm -f "$into"/lib/commons-logging-*.jar # spring-jcl stands in its place
  cp "$here/pom.xml" "$into/pom.xml"
fi
if [ ! "$into/classes/Hapi.class" -nt "$here/Hapi.java" ]; then
  mkdir -p "$into/classes"
  javac -nowarn -d "$into/classes" -cp "$into/lib/*" "$here/Hapi.java"
fi
echo "HAPI FHIR $(basename "$into"/lib/hapi-fhir-jpaserver-base-*.jar .jar | sed 's/.*-//') stands in $into"
