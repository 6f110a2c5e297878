# The real servers that Plimsoll is tried against, and how they get here. Sourced by test.sh.
# Everything lies under target/real, by version; what is there already is not made again.

# The Python package whose sources carry those of llama.cpp. Its version fixes the server's.
LLAMA_CPP_PYTHON=0.3.36
PEER_PACKAGES="redis-server openssl python3 python3-venv g++"

# What is bound to one machine's instructions or to a download is off, and -O1 halves the build.
LLAMA_CPP_FLAGS="-DCMAKE_BUILD_TYPE=Release -DCMAKE_C_FLAGS_RELEASE=-O1 -DCMAKE_CXX_FLAGS_RELEASE=-O1
  -DBUILD_SHARED_LIBS=OFF -DGGML_NATIVE=OFF -DGGML_OPENMP=OFF -DGGML_CCACHE=OFF
  -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF
  -DLLAMA_BUILD_NUMBER=0 -DLLAMA_BUILD_COMMIT=pypi-$LLAMA_CPP_PYTHON"

peers_folder() { printf '%s/real\n' "$(realpath "$(target_dir)")"; }

# peer_llama_server: builds llama-server where it is missing.
peer_llama_server() {
  local folder=$1 version=$LLAMA_CPP_PYTHON
  local built=$folder/llama-server-$version work=$folder/llama-cpp-$version
  if [ -x "$built" ]; then return 0; fi
  say "Building llama-server from the sources in llama-cpp-python $version, once: some minutes"
  rm -rf "$work"
  mkdir -p "$work/sdist" "$work/source"
  [ -x "$folder/venv/bin/pip" ] || python3 -m venv "$folder/venv"
  PATH=$folder/venv/bin:$PATH
  pip install -q cmake ninja || fail "cmake and ninja could not be fetched from the Python package index"
  pip download -q --no-deps --no-binary llama-cpp-python \
    --dest "$work/sdist" "llama-cpp-python==$version" ||
    fail "the source package llama-cpp-python $version could not be fetched" \
      "It comes from the Python package index that pip is set up for."
  tar -xzf "$work"/sdist/*.tar.gz -C "$work/source" --strip-components=1
  # shellcheck disable=SC2086  # a list of options
  cmake -S "$work/source/vendor/llama.cpp" -B "$work/build" -G Ninja $LLAMA_CPP_FLAGS >"$work/cmake.log" 2>&1 ||
    { tail -n 20 "$work/cmake.log" >&2; fail "cmake does not take llama.cpp's sources (see $work/cmake.log)"; }
  nice -n 10 ninja -C "$work/build" llama-server >"$work/ninja.log" 2>&1 ||
    { tail -n 20 "$work/ninja.log" >&2; fail "llama-server could not be built (see $work/ninja.log)"; }
  # Put in place as a whole or not at all; the sources and objects are hundreds of megabytes.
  cp "$work/build/bin/llama-server" "$built.new"
  mv "$built.new" "$built"
  rm -rf "$work"
  note "$("$built" --version 2>&1 | head -n 1)"
}

# peer_models: small models of random weights. Made anew each time: it takes a second.
peer_models() {
  local folder=$1/models name
  mkdir -p "$folder"
  for name in tide swell; do
    tests/real/make_tiny_gguf.py -o "$folder/$name.gguf" --name "$name" --ctx 131072 \
      --seed "${#name}" >/dev/null
  done
}

# peer_clients: the clients that programs use, of fixed versions.
OPENAI_PYTHON=3.54.0
OPENAI_NODE=6.49.0
peer_clients() {
  local folder=$1
  need_node
  [ -x "$folder/venv/bin/pip" ] || python3 -m venv "$folder/venv"
  if [ "$("$folder/venv/bin/python" -c 'import openai; print(openai.__version__)' 2>/dev/null)" != "$OPENAI_PYTHON" ]; then
    "$folder/venv/bin/pip" install -q "openai==$OPENAI_PYTHON" || fail "openai $OPENAI_PYTHON could not be fetched from the Python package index"
  fi
  if ! [ -d "$folder/node-$OPENAI_NODE/node_modules/openai" ]; then
    mkdir -p "$folder/node-$OPENAI_NODE"
    npm --prefix "$folder/node-$OPENAI_NODE" install --silent --no-audit --no-fund "openai@$OPENAI_NODE" ||
      fail "openai $OPENAI_NODE could not be fetched from npm"
  fi
  export PLIMSOLL_PYTHON_CLIENTS=$folder/venv/bin/python
  export PLIMSOLL_NODE_CLIENTS=$folder/node-$OPENAI_NODE
  note "openai of PyPI $OPENAI_PYTHON, of npm $OPENAI_NODE"
}

# A Docker daemon: the one that runs here, else one of our own with all it keeps in a folder
# of its own, which ends with the tests. Without one this group fails: containers were not tried.
peer_docker() {
  export PLIMSOLL_DOCKER_SOCKET=/var/run/docker.sock
  PEER_DOCKER=
  trap peer_docker_end EXIT
  command -v dockerd >/dev/null && command -v docker >/dev/null ||
    need_packages "the containers that Plimsoll is tried against" docker.io iptables
  command -v docker >/dev/null || need_packages "the containers that Plimsoll is tried against" docker-cli
  if ! peer_docker_tell version >/dev/null 2>&1; then peer_docker_start; fi
  note "Docker $(peer_docker_tell version --format '{{.Server.Version}}'), cgroup version $(peer_docker_tell info --format '{{.CgroupVersion}}'), at $PLIMSOLL_DOCKER_SOCKET"
  peer_docker_image
}

peer_docker_tell() { docker --host "unix://$PLIMSOLL_DOCKER_SOCKET" "$@"; }

# peer_docker_start: one of our own, known by its process id alone.
peer_docker_start() {
  [ "$(id -u)" = 0 ] || fail "no Docker daemon answers at $PLIMSOLL_DOCKER_SOCKET, and only root can start one" \
    "Start Docker and join the group docker, or run this as root."
  say "Starting a Docker daemon of the tests' own"
  # A path of its own, and a short one: the name of a socket has at most 107 characters.
  PEER_DOCKER=$(mktemp -d /tmp/plimsoll-docker.XXXXXX)
  # As /var/run is: who may not ask the daemon still sees that there is one.
  chmod 755 "$PEER_DOCKER"
  export PLIMSOLL_DOCKER_SOCKET=$PEER_DOCKER/docker.sock
  dockerd --host "unix://$PLIMSOLL_DOCKER_SOCKET" --data-root "$PEER_DOCKER/data" --exec-root "$PEER_DOCKER/run" \
    --pidfile "$PEER_DOCKER/pid" --storage-driver vfs >"$PEER_DOCKER/log" 2>&1 </dev/null &
  PEER_DOCKER_PID=$!
  local second
  for second in $(seq 30); do
    if peer_docker_tell version >/dev/null 2>&1; then return; fi
    kill -0 "$PEER_DOCKER_PID" 2>/dev/null || break
    sleep 1
  done
  fail "a Docker daemon cannot run here (after $second s), so nothing was tried against real containers" \
    "This kernel, or the container that this runs in, does not allow it what it needs. It said last:" \
    "$(tail -n 3 "$PEER_DOCKER/log" | cut -c 1-300)"
}

# An image of what is here already: nothing is fetched. Named by this run, so that two do not meet.
peer_docker_image() {
  local root program
  export PLIMSOLL_DOCKER_IMAGE=plimsoll-peer:$$
  root=$(mktemp -d)
  mkdir -p "$root/usr/bin" "$root/models" "$root/tmp" "$root/etc"
  cp -L "$PLIMSOLL_REDIS_SERVER" "$root/usr/bin/redis-server"
  cp -L "$PLIMSOLL_LLAMA_SERVER" "$root/usr/bin/llama-server"
  cp "$PLIMSOLL_TINY_MODELS/tide.gguf" "$root/models/"
  for program in "$PLIMSOLL_REDIS_SERVER" "$PLIMSOLL_LLAMA_SERVER"; do
    ldd "$program" | grep -o '/[^ ]*' | sort -u | xargs -I{} cp -L --parents {} "$root/"
  done
  tar -C "$root" -cf - . | peer_docker_tell import - "$PLIMSOLL_DOCKER_IMAGE" >/dev/null ||
    fail "Docker does not take the image with the servers"
  rm -rf "$root"
}

# Removes what this run made, and nothing else; a daemon that is not ours runs on.
peer_docker_end() {
  local left
  if [ -n "${PLIMSOLL_DOCKER_IMAGE:-}" ]; then
    left=$(peer_docker_tell ps --all --quiet --filter "ancestor=$PLIMSOLL_DOCKER_IMAGE" 2>/dev/null || true)
    # shellcheck disable=SC2086  # a list of ids
    [ -z "$left" ] || peer_docker_tell rm --force $left >/dev/null 2>&1 || true
    peer_docker_tell rmi --force "$PLIMSOLL_DOCKER_IMAGE" >/dev/null 2>&1 || true
  fi
  if [ -n "${PEER_DOCKER:-}" ]; then
    if kill "$PEER_DOCKER_PID" 2>/dev/null; then wait "$PEER_DOCKER_PID" || true; fi
    rm -rf "$PEER_DOCKER"
  fi
}

# Makes all of them ready and says where they are.
peers() {
  # shellcheck disable=SC2086  # a list of names
  need_packages "the real servers" $PEER_PACKAGES
  mkdir -p "$(target_dir)"
  local folder
  folder=$(peers_folder)
  mkdir -p "$folder"
  peer_llama_server "$folder"
  peer_models "$folder"
  peer_clients "$folder"
  export PLIMSOLL_LLAMA_SERVER=$folder/llama-server-$LLAMA_CPP_PYTHON
  export PLIMSOLL_TINY_MODELS=$folder/models
  PLIMSOLL_REDIS_SERVER=$(command -v redis-server) || fail "redis-server is not in the program path"
  export PLIMSOLL_REDIS_SERVER
  note "$("$PLIMSOLL_LLAMA_SERVER" --version 2>&1 | head -n 1)"
  note "$("$PLIMSOLL_REDIS_SERVER" --version)"
  peer_docker
}
