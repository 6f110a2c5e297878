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
  export PLIMSOLL_LLAMA_SERVER=$folder/llama-server-$LLAMA_CPP_PYTHON
  export PLIMSOLL_TINY_MODELS=$folder/models
  PLIMSOLL_REDIS_SERVER=$(command -v redis-server) || fail "redis-server is not in the program path"
  export PLIMSOLL_REDIS_SERVER
  note "$("$PLIMSOLL_LLAMA_SERVER" --version 2>&1 | head -n 1)"
  note "$("$PLIMSOLL_REDIS_SERVER" --version)"
}
