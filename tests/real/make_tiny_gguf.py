#!/usr/bin/env python3
"""Writes a tiny language model of random weights that a real llama.cpp server loads
and streams thousands of tokens a second from. Needs nothing but Python, downloads nothing.

    tests/real/make_tiny_gguf.py -o tiny.gguf [--name NAME] [--eos-bias N]

Random weights would answer with broken bytes. So that an answer is made of readable
words, one channel of the residual stream carries a constant that no block changes, and
the output layer reads it as a bias of each token: 0 for whole words, far below for
pieces, bytes and control tokens. The end of text has a bias of its own: at its default
it is never drawn, and a request runs to its `max_tokens`.
"""
import argparse
import array
import random
import struct
import sys

WORDS = """anchor and answer any are asks at ballast barge bay be before below bow bridge but by cabin
calm cargo carry chart clear cloud coast coil compass course crew current dawn deck deep depth
dock draught drift each east engine even evening far fast fathom few first fleet float flow for
freight from full gale gauge glass go good grain half harbour haul heavy helm her here high hold
hull idle in is island it keel keep knot lamp large last lay lead leave level light line little
load lock log long low mark mast mate measure moon moor morning much narrow near net never new
night no north not oar of on open or out over past pier pilot port pull pump quay queue quiet
rain reach read rest ride rise river rope round rudder sail salt sand sea see set shallow ship
shore short sign signal slack slow small snow some sound south stand star steady steam steer
stern still stone storm stow strait stream strong summer swell tackle take tell than that the
then there they thin this tide to token tow turn under up upon use very vessel voyage wait wake
warm watch water wave weather weigh weight well west wharf when wide wind winter with work yard""".split()

# The numbers of the format, GGUF version 3.
MAGIC, VERSION, ALIGNMENT = b"GGUF", 3, 32
UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
F32_TENSOR = 0
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6

SPACE = "\u2581"  # how SentencePiece writes the space before a word
NEVER = -60.0  # a bias that is never drawn
CONSTANT = 8.0

TEMPLATE = (
    "{% for m in messages %}"
    "<|{{ m['role'] if m['role'] in ['user', 'assistant', 'system'] else 'user' }}|>"
    " {{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


class Vocabulary:
    """Tokens in the order of their numbers, each once."""

    def __init__(self, eos_bias):
        self.pieces, self.scores, self.types, self.biases = [], [], [], []
        self.known = set()
        for piece, kind, bias in [
            ("<unk>", UNKNOWN, NEVER),
            ("<s>", CONTROL, NEVER),
            ("</s>", CONTROL, eos_bias),
        ]:
            self.add(piece, 0.0, kind, bias)
        for byte in range(256):
            self.add(f"<0x{byte:02X}>", 0.0, BYTE, NEVER)
        for role in ["user", "assistant", "system"]:
            self.add(f"<|{role}|>", 0.0, CONTROL, NEVER)
        # The tokenizer joins two pieces at a time: every beginning of a word is a piece,
        # so that each word can be reached. The score says what is joined first.
        whole = set(WORDS)
        for word in WORDS:
            for end in range(1, len(word) + 1):
                bias = 0.0 if word[:end] in whole else NEVER
                self.add(SPACE + word[:end], -float(len(self.pieces)), NORMAL, bias)
        self.add(SPACE, -1e4, NORMAL, NEVER)
        for code in range(0x21, 0x7F):
            char = chr(code)
            self.add(char, -1e4 - code, NORMAL, 0.0 if char in ".,?!" else NEVER)

    def add(self, piece, score, kind, bias):
        if piece in self.known:
            return
        self.known.add(piece)
        self.pieces.append(piece)
        self.scores.append(score)
        self.types.append(kind)
        self.biases.append(bias)


def text(value):
    data = value.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def scalar(kind, value):
    if kind == STRING:
        return text(value)
    return struct.pack({UINT32: "<I", INT32: "<i", FLOAT32: "<f", BOOL: "<?"}[kind], value)


def entry(key, kind, value, of=None):
    head = text(key) + struct.pack("<I", kind)
    if kind == ARRAY:
        return head + struct.pack("<IQ", of, len(value)) + b"".join(scalar(of, v) for v in value)
    return head + scalar(kind, value)


def padding(length):
    return b"\0" * (-length % ALIGNMENT)


def floats(values):
    data = array.array("f", values)
    if sys.byteorder == "big":
        data.byteswap()
    return data.tobytes()


def tensors(args, vocabulary):
    """`(name, dimensions, values)`; the first dimension is the length of a row."""
    source = random.Random(args.seed)
    embd, feed = args.embd, args.ff
    kv = embd // args.heads * args.kv_heads

    def noise(length, rows, scale=None, quiet=False):
        scale = scale or length**-0.5
        values = [source.gauss(0.0, scale) for _ in range(length * rows)]
        if quiet:
            # What this block adds to the constant's channel is nothing.
            values[:length] = [0.0] * length
        return values

    size = len(vocabulary.pieces)
    rows = noise(embd, size, 1.0)
    rows[::embd] = [CONSTANT] * size
    yield "token_embd.weight", (embd, size), rows
    for block in range(args.layers):
        at = f"blk.{block}."
        yield at + "attn_norm.weight", (embd,), [1.0] * embd
        yield at + "attn_q.weight", (embd, embd), noise(embd, embd)
        yield at + "attn_k.weight", (embd, kv), noise(embd, kv)
        yield at + "attn_v.weight", (embd, kv), noise(embd, kv)
        yield at + "attn_output.weight", (embd, embd), noise(embd, embd, quiet=True)
        yield at + "ffn_norm.weight", (embd,), [1.0] * embd
        yield at + "ffn_gate.weight", (embd, feed), noise(embd, feed)
        yield at + "ffn_up.weight", (embd, feed), noise(embd, feed)
        yield at + "ffn_down.weight", (feed, embd), noise(feed, embd, quiet=True)
    yield "output_norm.weight", (embd,), [1.0] * embd
    rows = noise(embd, size, 0.35)
    rows[::embd] = vocabulary.biases
    yield "output.weight", (embd, size), rows


def facts(args, vocabulary):
    return [
        entry("general.architecture", STRING, "llama"),
        entry("general.name", STRING, args.name),
        entry("general.description", STRING, "random weights, for tests only"),
        entry("general.file_type", UINT32, 0),
        entry("llama.context_length", UINT32, args.ctx),
        entry("llama.embedding_length", UINT32, args.embd),
        entry("llama.block_count", UINT32, args.layers),
        entry("llama.feed_forward_length", UINT32, args.ff),
        entry("llama.attention.head_count", UINT32, args.heads),
        entry("llama.attention.head_count_kv", UINT32, args.kv_heads),
        entry("llama.attention.layer_norm_rms_epsilon", FLOAT32, 1e-5),
        entry("llama.rope.dimension_count", UINT32, args.embd // args.heads),
        entry("llama.vocab_size", UINT32, len(vocabulary.pieces)),
        entry("tokenizer.ggml.model", STRING, "llama"),
        entry("tokenizer.ggml.pre", STRING, "default"),
        entry("tokenizer.ggml.tokens", ARRAY, vocabulary.pieces, STRING),
        entry("tokenizer.ggml.scores", ARRAY, vocabulary.scores, FLOAT32),
        entry("tokenizer.ggml.token_type", ARRAY, vocabulary.types, INT32),
        entry("tokenizer.ggml.unknown_token_id", UINT32, 0),
        entry("tokenizer.ggml.bos_token_id", UINT32, 1),
        entry("tokenizer.ggml.eos_token_id", UINT32, 2),
        entry("tokenizer.ggml.add_bos_token", BOOL, True),
        entry("tokenizer.ggml.add_eos_token", BOOL, False),
        entry("tokenizer.ggml.add_space_prefix", BOOL, True),
        entry("tokenizer.chat_template", STRING, TEMPLATE),
    ]


def write(args):
    vocabulary = Vocabulary(args.eos_bias)
    described, data = [], []
    offset = 0
    for name, dimensions, values in tensors(args, vocabulary):
        blob = floats(values)
        blob += padding(len(blob))
        shape = struct.pack(f"<{len(dimensions)}Q", *dimensions)
        head = struct.pack("<I", len(dimensions)) + shape
        described.append(text(name) + head + struct.pack("<IQ", F32_TENSOR, offset))
        data.append(blob)
        offset += len(blob)
    known = facts(args, vocabulary)
    head = MAGIC + struct.pack("<IQQ", VERSION, len(described), len(known))
    head += b"".join(known) + b"".join(described)
    with open(args.out, "wb") as out:
        out.write(head + padding(len(head)))
        out.writelines(data)
        size = out.tell()
    print(f"{args.out}: {size} bytes, {len(vocabulary.pieces)} tokens, {args.layers} layers of {args.embd}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("-o", "--out", default="tiny.gguf")
    parser.add_argument("--name", default="tiny")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--embd", type=int, default=64)
    parser.add_argument("--ff", type=int, default=128)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--kv-heads", type=int, default=2)
    parser.add_argument("--ctx", type=int, default=8192, help="the context it says it was trained with")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--eos-bias", type=float, default=NEVER, help="about 4 ends answers by chance")
    args = parser.parse_args()
    if args.embd % args.heads or args.heads % args.kv_heads:
        parser.error("--embd must be a multiple of --heads, and --heads one of --kv-heads")
    write(args)


if __name__ == "__main__":
    main()
