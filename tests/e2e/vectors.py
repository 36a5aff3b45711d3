"""From answers to numpy arrays and from texts to answers, in calls of bounded size."""
import numpy as np

from stubs import octet_pb2

MAX_TEXTS_PER_CALL = 128


def array_of(response):
    """[num_texts, dimensions] f32 of an octet.v1 answer."""
    return np.stack([np.frombuffer(e.values, dtype="<f4") for e in response.embeddings])


def embed_all(stub, texts, chunk=MAX_TEXTS_PER_CALL, **fields):
    return np.concatenate([
        array_of(stub.Embed(octet_pb2.EmbedRequest(texts=texts[i:i + chunk], **fields), timeout=120))
        for i in range(0, len(texts), chunk)])


def cosines(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
