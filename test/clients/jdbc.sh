#!/bin/bash
# Runs Jdbc.java, for scripts/client_tests.sh: the environment says where the server is.
set -u
exec java -cp /usr/share/java/postgresql.jar "$(dirname "${BASH_SOURCE[0]}")/Jdbc.java"
