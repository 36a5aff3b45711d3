#!/usr/bin/env python3
"""Tests of the training tools: `python -m unittest` in this folder, seconds, no model and no data needed."""
import ctypes
import os
import tempfile
import unittest

import numpy as np
import torch

import bert
import fake_quant
import goemotions
import served_floats
import training

TINY = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48, "vocab_size": 60,
        "max_position_embeddings": 16, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1}


def random(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def tiny_classifier(num_labels=3):
    torch.manual_seed(5)
    return bert.SequenceClassifier(TINY, num_labels)


def tiny_split(num_texts, seed):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(3, 12, (num_texts,), generator=generator).tolist()
    return training.Split([torch.randint(0, 60, (n,), generator=generator).tolist() for n in lengths],
                          (torch.rand(num_texts, 3, generator=generator) < 0.3).float())


class ServedFloatsTest(unittest.TestCase):
    """Close to torch's own; that the bits are octet's is what check_arithmetic.py shows."""

    def check(self, got, want, limit):
        self.assertLess((got - want).abs().max().item(), limit)

    def test_layer_norm(self):
        for cols in (1, 15, 16, 24, 384):
            x, weight, bias = random(5, cols), random(cols, seed=2), random(cols, seed=3)
            self.check(served_floats.layer_norm(x, weight, bias, 1e-6),
                       torch.nn.functional.layer_norm(x, (cols,), weight, bias, 1e-6), 1e-5)

    def test_gelu(self):
        x = 8 * random(5000)
        self.check(served_floats.gelu_erf(x), torch.nn.functional.gelu(x), 2e-4)

    def test_powers_of_two(self):
        below = torch.arange(32768)
        for unit in (1e-6, 2.0**-12, 3e-3, 0.1):
            step = max(2.0**-15, 3 * unit)  # of a weight, and of what is taken for the distance
            self.check(served_floats.weigh(below, torch.tensor(unit)) / 32767, torch.exp2(-below * unit), 2e-4 + step)

    def test_attention(self):
        query, key, value = (random(1, 2, 40, 32, seed=seed) for seed in (1, 2, 3))
        self.check(served_floats.attend(query, key, value),
                   torch.nn.functional.scaled_dot_product_attention(query, key, value), 2e-2)  # 8 bits

    def test_a_model_stays_the_same_model(self):
        model = tiny_classifier().eval()
        batch = bert.PackedBatch.of([[1, 2, 3, 4, 5, 6, 7]])
        with torch.inference_mode():
            want = model(batch)
            served_floats.use_served_floats_(model)
            self.check(model(batch), want, 3e-4)  # queries and keys have 8 bits


class FusedMultiplyAddTest(unittest.TestCase):
    def check(self, a, b, c):
        fmaf = ctypes.CDLL("libm.so.6").fmaf
        fmaf.restype, fmaf.argtypes = ctypes.c_float, [ctypes.c_float] * 3
        want = torch.tensor([fmaf(*values) for values in zip(a.tolist(), b.tolist(), c.tolist())])
        self.assertTrue(torch.equal(fake_quant.fused_multiply_add_f64(a, b, c), want))
        self.assertTrue(torch.equal(fake_quant.fused_multiply_add(a[None], b[None], c)[0], want))

    def test_equals_the_c_library(self):
        self.check(random(5000, seed=1) * 2**20, random(5000, seed=2) * 1e-5, random(5000, seed=3))

    def test_rounds_once_next_to_halfway(self):
        """c + half a unit in its last place + a little: rounding to f64 first would lose the little."""
        generator = torch.Generator().manual_seed(4)

        def near_one(span):
            return 1 + torch.randint(-span, span, (5000,), generator=generator) * 2.0**-23

        a, b, c = near_one(3) * 2.0**-12, near_one(3) * 2.0**-12, near_one(2**22).abs()
        naive = (a.double() * b.double() + c.double()).float()
        self.assertFalse(torch.equal(naive, fake_quant.fused_multiply_add_f64(a, b, c)))  # the data reach the case
        for scale in (1.0, 2.0**-126, 2.0**-130):  # the last two: results below the normal f32
            self.check(a * scale**0.5, b * scale**0.5, c * scale)
            self.check(-a * scale**0.5, b * scale**0.5, c * scale)


class QuantizationTest(unittest.TestCase):
    def test_rows_follow_the_definition(self):
        for seed in range(20):
            x = random(1, 33, seed=seed) * 10.0**(seed % 7 - 3)
            rows = fake_quant.quantize_rows_u8(x)
            values, one = x[0].numpy(), np.float32(1)
            low, high = min(values.min(), np.float32(0)), max(values.max(), np.float32(0))
            scale = np.float32(high / np.float32(255)) - np.float32(low / np.float32(255))
            factor = one / scale
            zero_point = np.rint(-low * factor)
            self.assertEqual(rows.scale.item(), scale)
            self.assertEqual(rows.zero_point.item(), zero_point)
            np.testing.assert_array_equal(rows.q[0].numpy(), np.clip(np.rint(values * factor) + zero_point, 0, 255))

    def test_sums_beyond_24_bits_are_exact(self):
        q = torch.full((2, 1536), 255.0)
        weight = torch.full((3, 1536), 127.0)
        weight[0, 0] = 126.0
        want = q.long() @ weight.long().T
        self.assertTrue(torch.equal(fake_quant.integer_product(q, weight).long(), want))
        self.assertFalse(torch.equal((q @ weight.T).long(), want))  # why the depth is cut

    def test_rows_that_are_not_finite_give_nan(self):
        linear = torch.nn.Linear(8, 4)
        for static in (False, True):
            layer = fake_quant.FakeQuantLinear(linear, static)
            layer(random(3, 8))
            layer.eval()
            for bad in (torch.nan, torch.inf, -torch.inf):
                x = random(3, 8)
                x[1, 2] = bad
                y = layer(x)
                self.assertTrue(torch.isnan(y[1]).all(), (static, bad))
                self.assertTrue(torch.isfinite(y[0]).all() and torch.isfinite(y[2]).all())


class StraightThroughTest(unittest.TestCase):
    def gradients(self, layer, x):
        x = x.clone().requires_grad_()
        layer.zero_grad()
        (layer(x) * random(len(x), layer.out_features, seed=9)).sum().backward()
        return x.grad, layer.weight.grad.clone(), layer.bias.grad.clone()

    def test_gradients_are_those_of_the_dequantized_layer(self):
        linear, x = torch.nn.Linear(20, 6), random(5, 20)
        got = self.gradients(fake_quant.FakeQuantLinear(linear), x)
        with torch.no_grad():
            x_hat = fake_quant.quantize_rows_u8(x).dequantized()
            plain = torch.nn.Linear(20, 6)
            plain.weight.copy_(fake_quant.quantize_channels_s8(linear.weight).dequantized())
            plain.bias.copy_(linear.bias)
        for a, b in zip(got, self.gradients(plain, x_hat)):
            torch.testing.assert_close(a, b)

    def test_static_ranges_clip_value_and_gradient(self):
        layer = fake_quant.FakeQuantLinear(torch.nn.Linear(4, 2), static=True)
        layer(torch.tensor([[-1.0, 0.5, 0.0, 1.0]]))
        layer.eval()  # the range stays [-1, 1], all but the rounding of its zero point
        scale, zero_point = layer.observer(None)
        x = torch.tensor([[0.5, 3.0, -3.0, 0.0]])
        grad = self.gradients(layer, x)[0]
        self.assertEqual((grad == 0).tolist(), [[False, True, True, False]])
        self.assertTrue(torch.equal(layer(x), layer(x.clamp(-zero_point * scale, (255 - zero_point) * scale))))

    def test_observer_averages_ranges_in_training_only(self):
        observer = fake_quant.RangeObserver(momentum=0.75)
        observer(torch.tensor([[-2.0, 4.0]]))
        observer(torch.tensor([[1.0, 8.0]]))
        self.assertEqual((observer.low.item(), observer.high.item()), (-1.5, 5.0))
        observer.eval()
        observer(torch.tensor([[-100.0, 100.0]]))
        self.assertEqual((observer.low.item(), observer.high.item()), (-1.5, 5.0))


class EncoderTest(unittest.TestCase):
    def test_replaces_the_encoder_and_not_the_head(self):
        model = tiny_classifier()
        names = fake_quant.quantize_encoder_(model)
        self.assertEqual(len(names), 6 * TINY["num_hidden_layers"])
        self.assertIs(type(model.classifier), torch.nn.Linear)
        self.assertIs(type(model.bert.pooler["dense"]), torch.nn.Linear)
        self.assertEqual(model.state_dict().keys(), tiny_classifier().state_dict().keys())

    def test_a_text_alone_equals_the_text_in_a_batch(self):
        model = tiny_classifier().eval()
        texts = [[1, 2, 3, 4, 5], [7, 8], [9, 10, 11]]
        together = model(bert.PackedBatch.of(texts))
        for row, ids in zip(together, texts):
            torch.testing.assert_close(row, model(bert.PackedBatch.of([ids]))[0], rtol=0, atol=1e-6)


class TrainingTest(unittest.TestCase):
    settings = training.Settings(epochs=2, batch_size=8, learning_rate=1e-2, seed=3)

    def train(self, checkpoint, stop_after=None, identity="a"):
        model = tiny_classifier()
        fake_quant.quantize_encoder_(model, static=True)
        run_epoch = training.run_epoch

        def stopping(*arguments):
            if arguments[-1] == stop_after:
                raise KeyboardInterrupt
            return run_epoch(*arguments)

        training.run_epoch = stopping
        try:
            history = training.train_epochs(model, tiny_split(50, 1), tiny_split(30, 2), self.settings, checkpoint,
                                            identity)
        finally:
            training.run_epoch = run_epoch
        return model.state_dict(), history

    def test_a_resumed_run_gives_the_same_bits(self):
        torch.use_deterministic_algorithms(True)
        with tempfile.TemporaryDirectory() as folder:
            whole, history = self.train(os.path.join(folder, "whole.pt"))
            cut = os.path.join(folder, "cut.pt")
            with self.assertRaises(KeyboardInterrupt):
                self.train(cut, stop_after=1)
            resumed, resumed_history = self.train(cut)
            self.assertEqual([line["train_loss"] for line in history], [line["train_loss"] for line in resumed_history])
            for name, value in whole.items():
                self.assertTrue(torch.equal(value, resumed[name]), name)
            with self.assertRaisesRegex(SystemExit, "other settings"):
                self.train(cut, identity="b")

    def test_every_text_is_in_one_batch_of_like_lengths(self):
        lengths = torch.randint(3, 60, (1000,), generator=torch.Generator().manual_seed(1)).tolist()
        batches = goemotions.shuffled_batches(lengths, 16, seed=1)
        self.assertEqual(sorted(i for batch in batches for i in batch), list(range(1000)))
        padding = sum(max(lengths[i] for i in batch) * len(batch) for batch in batches) / sum(lengths)
        self.assertLess(padding, 1.05)
        self.assertNotEqual(batches, goemotions.shuffled_batches(lengths, 16, seed=2))


class MetricsTest(unittest.TestCase):
    def test_micro_f1_counts_all_decisions_together(self):
        scores = np.array([[0.9, 0.2, 0.6], [0.4, 0.7, 0.1]])
        labels = np.array([[True, False, False], [True, True, False]])
        self.assertAlmostEqual(goemotions.micro_f1(scores, labels, 0.5), 2 * 2 / (3 + 3))
        self.assertEqual(goemotions.best_threshold(scores, labels), (0.21, 2 * 3 / (4 + 3)))


if __name__ == "__main__":
    unittest.main()
