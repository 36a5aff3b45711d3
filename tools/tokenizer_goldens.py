#!/usr/bin/env python3
"""Writes the tokenizer goldens of tests/text/golden from the reference: the `tokenizers` wheel.

Run it in a throw-away environment outside the project (the project itself never needs the wheel):

  python3 -m venv /tmp/goldens && /tmp/goldens/bin/pip install tokenizers==0.23.2
  /tmp/goldens/bin/python tools/tokenizer_goldens.py NAME=TOKENIZER_JSON...

e.g. all-MiniLM-L6-v2=.../tokenizer.json. NAME.json is written for each; the first one gets every text,
truncation and pairs, the others a selection. All texts are made here.
"""
import hashlib
import json
import pathlib
import sys
import unicodedata

import tokenizers

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "text" / "golden"

SENTENCES = [
    "The quick brown fox jumps over the lazy dog.",
    "Don't panic: it's only 3.14159 times r^2, isn't it?",
    "E-mail me at someone@example.org or see https://example.org/a?b=c&d=%20e#f",
    "def f(x): return {k: v for k, v in x.items() if v >= 0x1F}",
    "UPPER lower MiXeD CamelCaseIdentifier snake_case_identifier kebab-case-word",
    "Prices: $1,299.99, \u20ac45.50, \u00a37, \u00a5800, 5\u00a2 and 100\u20bd or \u20b9250",
    "Das \u00dcbergr\u00f6\u00dfentr\u00e4gergesetz \u00e4rgert Stra\u00dfenbauer in K\u00f6ln.",
    "L'\u0153uvre d'un gar\u00e7on na\u00eff \u00e0 No\u00ebl, \u00e7a co\u00fbte cher.",
    "El ping\u00fcino Wenceslao hizo kil\u00f3metros bajo exhaustiva lluvia. \u00bfQu\u00e9? \u00a1Ol\u00e9!",
    "Za\u017c\u00f3\u0142\u0107 g\u0119\u015bl\u0105 ja\u017a\u0144, rzek\u0142 m\u0142ody \u017bubr.",
    "P\u0159\u00edli\u0161 \u017elu\u0165ou\u010dk\u00fd k\u016f\u0148 \u00fap\u011bl \u010f\u00e1belsk\u00e9 \u00f3dy.",
    "\u0130stanbul'da \u0131\u015f\u0131k, \u011f\u00fc\u00e7l\u00fc \u015fim\u015fek ve I\u0130\u0131i",
    "Ti\u1ebfng Vi\u1ec7t c\u00f3 nhi\u1ec1u d\u1ea5u thanh: \u1ea5 \u1ea7 \u1ea9 \u1eab \u1ead.",
    "\u00de\u00e6r \u00f8lstuer p\u00e5 \u00c6r\u00f8 og \u00ed Reykjav\u00edk eru g\u00f3\u00f0ar.",
    "\u0421\u044a\u0435\u0448\u044c \u0435\u0449\u0451 \u044d\u0442\u0438\u0445 \u043c\u044f\u0433\u043a\u0438\u0445 \u0431\u0443\u043b\u043e\u043a, \u0439\u043e\u0433!",
    "\u0407\u0436\u0430\u043a \u0456 \u0491\u0430\u0432\u0430 \u0454 \u0432 \u041a\u0438\u0454\u0432\u0456.",
    "\u0409\u0443\u0431\u0430\u0437\u043d\u0438 \u0440\u0438\u0431\u0430\u0440 \u0436\u0438\u0432\u0438 \u043d\u0430 \u0414\u0443\u043d\u0430\u0432\u0443.",
    "\u039e\u03b5\u03c3\u03ba\u03b5\u03c0\u03ac\u03b6\u03c9 \u03c4\u1f74\u03bd \u03c8\u03c5\u03c7\u03bf\u03c6\u03b8\u03cc\u03c1\u03b1 \u03b2\u03b4\u03b5\u03bb\u03c5\u03b3\u03bc\u03af\u03b1. \u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2 \u03a3\u0399\u03a3\u03a5\u03a6\u039f\u03a3",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645\u060c \u0643\u064a\u0641 \u062d\u0627\u0644\u0643\u0645 \u0627\u0644\u064a\u0648\u0645\u061f",
    "\u0627\u0644\u0652\u0639\u064e\u0631\u064e\u0628\u0650\u064a\u0651\u064e\u0629\u064f \u0645\u0639 \u062a\u0634\u0643\u064a\u0644 \u0640\u0640\u0640 \u0661\u0662\u0663",
    "\u200f\u202b\u0646\u0635 \u0639\u0631\u0628\u064a\u202c\u200e mixed \u2067\u05e2\u05d1\u05e8\u05d9\u05ea\u2069 end",
    "\u0641\u0627\u0631\u0633\u06cc \u0631\u0627 \u067e\u0627\u0633 \u0645\u06cc\u200c\u062f\u0627\u0631\u06cc\u0645 \u06f1\u06f2\u06f3",
    "\u0627\u0631\u062f\u0648 \u0632\u0628\u0627\u0646 \u0645\u06cc\u06ba \u0679 \u0688 \u0691 \u06d2",
    "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd \u05e2\u05d5\u05dc\u05dd, \u05d2\"\u05dd \u05e6\u05d4\"\u05dc \u05d5\u05e7\u05d5\"\u05dd \u05e9\u05dc\u05d5\u05dd",
    "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e\u0964 \u0915\u094d\u0937\u0924\u094d\u0930\u093f\u092f \u0939\u093f\u0928\u094d\u0926\u0940 \u0967\u0968\u0969",
    "\u0986\u09ae\u09be\u09b0 \u09b8\u09cb\u09a8\u09be\u09b0 \u09ac\u09be\u0982\u09b2\u09be, \u0995\u09cd\u09b7\u09ae\u09be \u0995\u09b0\u09cb\u0964",
    "\u0baf\u0bbe\u0ba4\u0bc1\u0bae\u0bcd \u0b8a\u0bb0\u0bc7 \u0baf\u0bbe\u0bb5\u0bb0\u0bc1\u0bae\u0bcd \u0b95\u0bc7\u0bb3\u0bbf\u0bb0\u0bcd",
    "\u0c24\u0c46\u0c32\u0c41\u0c17\u0c41 \u0c2d\u0c3e\u0c37 \u0c9a\u0cc6\u0ca8\u0ccd\u0ca8\u0cbe\u0c97\u0cbf \u0d2e\u0d32\u0d2f\u0d3e\u0d33\u0d02 \u0db8\u0dd2\u0d82\u0dc4\u0dbd",
    "\u0a2a\u0a70\u0a1c\u0a3e\u0a2c\u0a40 \u0a97\u0ac1\u0a9c\u0ab0\u0abe\u0aa4\u0ac0 \u0b13\u0b21\u0b3c\u0b3f\u0b06",
    "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01 \u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22\u0e44\u0e21\u0e48\u0e21\u0e35\u0e40\u0e27\u0e49\u0e19\u0e27\u0e23\u0e23\u0e04",
    "\u0e9e\u0eb2\u0eaa\u0eb2\u0ea5\u0eb2\u0ea7 \u1797\u17b6\u179f\u17b6\u1781\u17d2\u1798\u17c2\u179a \u1019\u103c\u1014\u103a\u1019\u102c\u1005\u102c",
    "\u0f56\u0f7c\u0f51\u0f0b\u0f66\u0f90\u0f51\u0f0d \u1826\u1830\u182d\u1824\u182f",
    "\u6211\u80fd\u541e\u4e0b\u73bb\u7483\u800c\u4e0d\u4f24\u8eab\u4f53\u3002",
    "\u7e41\u9ad4\u4e2d\u6587\u8207\u7b80\u4f53\u4e2d\u6587\uff0c\u6df7\u5408ABC\uff11\uff12\uff13\uff01",
    "\u3044\u308d\u306f\u306b\u307b\u3078\u3068\u3001\u30a4\u30ed\u30cf\u30cb\u30db\u30d8\u30c8\u3002\u65e5\u672c\u8a9e\u306e\u6587\u7ae0\u3067\u3059\u3002",
    "\uff8a\uff9d\uff76\uff78 \uff76\uff9e\uff77\uff9e\u30fc \u3300\u3303 \u337f \u32ff",
    "\ub2e4\ub78c\uc950 \ud5cc \uccc7\ubc14\ud034\uc5d0 \ud0c0\uace0\ud30c. \u110b\u1161\u11ab\u1102\u1167\u11bc \u3131\u314f",
    "\u10e5\u10d0\u10e0\u10d7\u10e3\u10da\u10d8 \u1e02\u10d4\u10dc\u10d0 \u0540\u0561\u0575\u0565\u0580\u0565\u0576 \u12a0\u121b\u122d\u129b",
    "\u13e3\u13b3\u13a9 \u1403\u14c4\u1483\u144e\u1450\u1466 \u16a0\u16b1\u16ba \u1681\u1682 \u2c00\u2c01 \u2d30\u2d31",
    "\U0001f600 smile \U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 family \U0001f1e9\U0001f1ea\U0001f1ef\U0001f1f5 flags",
    "\U0001f44d\U0001f3fd \u2764\ufe0f \u2764 \u0031\ufe0f\u20e3 \U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f \U0001f9d1\u200d\U0001f4bb",
    "e\u0301 vs \u00e9, n\u0303 vs \u00f1, a\u030a\u0323 vs \u1ea1\u030a, q\u0307\u0323",
    "Z\u0351\u036b\u0343\u036a\u0302\u0363a\u0334\u0358\u030bl\u035e\u0321g\u0328\u0322o\u0337\u0489!",
    "zero\u200bwidth\u200cnon\u200djoiner\u2060word\ufeffbom\u00adsoft",
    "line\nfeed\r\nreturn\ttab\vvertical\fform\u0085next\u2028line\u2029para",
    "spaces\u00a0nbsp\u2002en\u2003em\u2009thin\u3000ideographic\u1680ogham\u202fnarrow",
    "nul\x00inside \x01\x02\x1b[31mred\x7f \x80\x9f end",
    "\ufeffBOM first", "replacement \ufffd object \ufffc interlinear \ufff9a\ufffab\ufffb",
    "private \ue000\uf8ff \U000f0000 \U0010fffd unassigned \u0378\u0379 \U0003fff0",
    "nonchar \ufffe\uffff\ufdd0 \U0001ffff \U0010ffff",
    "\ufdfa \ufb01\ufb02\ufb03 \u2126\u212b \u2167 \u00bd\u00b2\u2075 \u2460\u24d0 \u1d54f \U0001d54f \U0001d6fc",
    "\u1e9e \u00df \u0149 \u01c5\u01c6 \u0390 \u1f52 \ufb03 \u0130",
    "[CLS] hello [SEP] [MASK] world [PAD][UNK] [cls] [ CLS ] x[MASK]y",
    "[MASK]", "[CLS]", "[SEP][SEP]", "  [MASK]  ", "<s> </s> <mask> <pad> <unk> <extra_id_0>",
    "", " ", "   \t\n ", "\x00", "\x01\x02\x03", "\u200b", "\ufeff", "\u00ad", "\u0301", "a", "\u4e2d", ".",
    "##ing ##s playing unaffable embeddings", "...!!!???---___***", "(((((nested)))))", "'quoted' \"double\" `tick`",
    "\u2018curly\u2019 \u201cdouble\u201d \u00abguillemets\u00bb \u2026 \u2014 \u2013 \u2212 \u00b7 \u2022",
    "1234567890 0.5 1e-10 -42 +7 1,000,000 12:34:56 2024-02-29 \u0661\u0662 \u0967 \u2460",
    "\u2200x\u2208\u211d: \u2308x\u2309 = \u2212\u230a\u2212x\u230b \u222b\u2202\u2207 \u221e \u2260 \u2264",
    "\u250c\u2500\u2510\u2502\u2588\u2591 \u2190\u2191\u2192\u2193 \u2713\u2717 \u266a \u2603",
    "w" * 99, "w" * 100, "w" * 101, "a" * 1000, "\u00e9" * 100, "\u00e9" * 101, "ab" * 60 + " tail",
    "\u4e2d\u6587" * 150, "!" * 300, "supercalifragilisticexpialidocious " * 40, "a\u0301" * 150,
    "one two three four five six seven eight nine ten " * 60,
]

BLOCKS = [
    (0x20, 0x2AF), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x52F), (0x530, 0x58F), (0x590, 0x5FF),
    (0x600, 0x77F), (0x900, 0x97F), (0x980, 0x9FF), (0xB80, 0xBFF), (0xE00, 0xE7F), (0x1000, 0x109F),
    (0x1100, 0x11FF), (0x1E00, 0x1FFF), (0x2000, 0x214F), (0x2190, 0x22FF), (0x2460, 0x24FF),
    (0x2E80, 0x2EFF), (0x3000, 0x30FF), (0x3130, 0x318F), (0x3300, 0x33FF), (0x4E00, 0x4EFF),
    (0xA000, 0xA04F), (0xAC00, 0xACFF), (0xF900, 0xF9FF), (0xFB00, 0xFDFF), (0xFE00, 0xFEFF),
    (0xFF00, 0xFFEF), (0x10000, 0x1003F), (0x1D400, 0x1D44F), (0x1F300, 0x1F37F), (0x1F600, 0x1F64F),
    (0x20000, 0x2001F), (0x2F800, 0x2F81F), (0xE0000, 0xE007F),
]


def block_texts():
    """Windows of 24 consecutive code points of each block, loosely spaced."""
    for first, last in BLOCKS:
        starts = range(first, last + 1, max(24, (last - first) // 8))
        for start in starts:
            points = [chr(c) for c in range(start, min(start + 24, last + 1))]
            yield "".join(points[:12]) + " " + " ".join(points[12:])


def all_texts():
    texts = list(SENTENCES)
    for sentence in SENTENCES:
        for form in ("NFD", "NFKC"):
            texts.append(unicodedata.normalize(form, sentence))
        texts.append(sentence.upper())
    texts += block_texts()
    texts += [a + b for a, b in zip(SENTENCES[::3], SENTENCES[1::3])]
    texts += ["  " + s + "\n" for s in SENTENCES[2::4]]
    return list(dict.fromkeys(texts))


def byte_offsets(texts, encoding):
    """The wheel counts characters; octet counts bytes of UTF-8."""
    tables = []
    for text in texts:
        table, total = [0], 0
        for char in text:
            total += len(char.encode())
            table.append(total)
        tables.append(table)
    flat = []
    for sequence, (begin, end) in zip(encoding.sequence_ids, encoding.offsets):
        table = tables[sequence or 0]
        flat += [table[begin], table[end]]
    return flat


class Reference:
    def __init__(self, path):
        self.tokenizer = tokenizers.Tokenizer.from_file(str(path))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()

    def encode(self, first, second=None, max_tokens=0, side="right", special=True):
        """Pairs are truncated by the wheel's own rule, but on whole encodings: its encode() stops
        tokenizing each text near max_tokens, so which of two long texts keeps an odd token would
        depend on where it stopped."""
        self.tokenizer.no_truncation()
        if second is None or not max_tokens:
            if max_tokens:
                self._truncate(max_tokens, side)
            pair = () if second is None else (second,)
            return self.tokenizer.encode(first, *pair, add_special_tokens=special)
        parts = [self.tokenizer.encode(t, add_special_tokens=False) for t in (first, second)]
        self._truncate(max_tokens, side)
        return self.tokenizer.post_process(*parts, special)

    def _truncate(self, max_tokens, side):
        self.tokenizer.enable_truncation(max_tokens, strategy="longest_first", direction=side)


def make_cases(texts, thorough):
    """(first index, second index or None, max_tokens, side, special)"""
    cases = [(i, None, 0, "right", True) for i in range(len(texts))]
    step = 1 if thorough else 7
    cases += [(i, None, 0, "right", False) for i in range(0, len(texts), 3 * step)]
    limits = (4, 5, 6, 7, 8, 12, 17, 32, 100)
    for i in range(0, len(SENTENCES), 2 * step):
        for limit in limits[::1 if i % 4 == 0 else 3]:
            for side in ("right", "left"):
                cases.append((i, None, limit, side, True))
        cases.append((i, None, 5, "left", False))
    for i in range(0, len(SENTENCES) - 1, step):
        cases.append((i, i + 1, 0, "right", True))
        cases.append((i, i + 1, 0, "right", False))
        for limit in limits[i % 3::3]:
            for side in ("right", "left"):
                cases.append((i, i + 1, limit, side, i % 5 != 0))
    return cases


def write(name, path, texts, thorough):
    reference = Reference(path)
    rows = []
    for first, second, limit, side, special in make_cases(texts, thorough):
        pair = [texts[first]] + ([] if second is None else [texts[second]])
        encoding = reference.encode(*pair, **({} if second is not None else {"second": None}),
                                    max_tokens=limit, side=side, special=special)
        row = {"first": first, "ids": encoding.ids}
        if second is not None:
            row["second"] = second
        if limit:
            row["max_tokens"], row["side"] = limit, side
        if not special:
            row["special"] = False
        if any(encoding.type_ids):
            row["type_ids"] = encoding.type_ids
        # Byte-level offsets of truncated pairs are not comparable: they were post-processed twice.
        whole = limit == 0 or second is None
        if thorough and (limit == 0 or second is not None) or not thorough and whole and first % 5 == 0:
            row["offsets"] = byte_offsets(pair, encoding)
        rows.append(row)
    golden = {
        "tool": f"tokenizers {tokenizers.__version__} (Python wheel), tools/tokenizer_goldens.py",
        "model": name,
        "tokenizer_sha256": hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest(),
        "vocab_size": 1 + max(reference.tokenizer.get_vocab(with_added_tokens=True).values()),
    }
    OUT.mkdir(parents=True, exist_ok=True)
    with open(OUT / f"{name}.json", "w", encoding="ascii", newline="\n") as out:
        out.write(json.dumps(golden, indent=1)[:-2] + ',\n "texts": [\n')
        out.write(",\n".join(json.dumps(t) for t in texts) + '\n],\n "cases": [\n')
        out.write(",\n".join(json.dumps(r, separators=(",", ":")) for r in rows) + "\n]\n}\n")
    print(f"{name}: {len(texts)} texts, {len(rows)} cases")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for i, argument in enumerate(sys.argv[1:]):
        name, path = argument.split("=", 1)
        texts = all_texts()
        write(name, path, texts if i == 0 else texts[:len(SENTENCES)] + texts[len(SENTENCES)::6], i == 0)


if __name__ == "__main__":
    main()
