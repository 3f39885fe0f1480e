"""Figures by scikit-learn, and by definitions written out in plain loops.

Reads a list of cases from standard input, writes a list of answers to standard output.
"""

import json
import math
import sys
import warnings

import numpy as np
from scipy.optimize import minimize
from sklearn import metrics

warnings.simplefilter("ignore")
NAN = float("nan")


def kernel(x, y):
    return 1.0 if x > y else 0.5 if x == y else 0.0


def components(scores, positive):
    """DeLong 1988, equations 3 to 5: every positive against every negative."""
    x = [s for s, p in zip(scores, positive) if p]
    y = [s for s, p in zip(scores, positive) if not p]
    v10 = [sum(kernel(a, b) for b in y) / len(y) for a in x]
    v01 = [sum(kernel(a, b) for a in x) / len(x) for b in y]
    return sum(v10) / len(v10), v10, v01


def delong(models, positive):
    """Covariance matrix of the areas, one unit per patient."""
    parts = [components(scores, positive) for scores in models]
    m, n = len(parts[0][1]), len(parts[0][2])
    s10 = np.atleast_2d(np.cov([p[1] for p in parts], ddof=1))
    s01 = np.atleast_2d(np.cov([p[2] for p in parts], ddof=1))
    return s10 / m + s01 / n


def obuchowski(models, positive, patients):
    """Covariance matrix of the areas, several units per patient (Obuchowski 1997)."""
    parts = [components(scores, positive) for scores in models]
    m, n = len(parts[0][1]), len(parts[0][2])
    names = sorted(set(patients))
    x_of = [q for q, p in zip(patients, positive) if p]
    y_of = [q for q, p in zip(patients, positive) if not p]
    count, with_x, with_y = len(names), len(set(x_of)), len(set(y_of))
    size = len(models)
    covariance = np.zeros((size, size))
    for r in range(size):
        for s in range(size):
            s10 = s01 = s11 = s11_turned = 0.0
            for name in names:
                sum_x = [sum(v - p[0] for v, q in zip(p[1], x_of) if q == name) for p in parts]
                sum_y = [sum(v - p[0] for v, q in zip(p[2], y_of) if q == name) for p in parts]
                s10 += sum_x[r] * sum_x[s]
                s01 += sum_y[r] * sum_y[s]
                s11 += sum_x[r] * sum_y[s]
                s11_turned += sum_x[s] * sum_y[r]
            s10 *= with_x / ((with_x - 1) * m)
            s01 *= with_y / ((with_y - 1) * n)
            both = (s11 + s11_turned) * count / (count - 1)
            covariance[r, s] = s10 / m + s01 / n + both / (m * n)
    return covariance


def normal_p(z):
    return math.erfc(abs(z) / math.sqrt(2.0))


def areas(case):
    positive = [t == case["class"] for t in case["truth"]]
    models = [[row[case["class"]] for row in case[name]] for name in ("first", "second")]
    answer = {"auc": NAN, "ap": NAN, "brier": NAN}
    scores = models[0]
    if any(positive):
        answer["ap"] = metrics.average_precision_score(positive, scores)
    if any(positive) and not all(positive):
        answer["auc"] = metrics.roc_auc_score(positive, scores)
        answer["brier"] = metrics.brier_score_loss(positive, scores)
        fpr, tpr, thresholds = metrics.roc_curve(positive, scores, drop_intermediate=False)
        answer["roc"] = [fpr.tolist(), tpr.tolist(), thresholds[1:].tolist()]
        precision, recall, at = metrics.precision_recall_curve(positive, scores)
        # By falling threshold, without the point (0, 1) that belongs to no threshold.
        answer["pr"] = [recall[-2::-1].tolist(), precision[-2::-1].tolist(), at[::-1].tolist()]
        sides = [len({q for q, p in zip(case["patients"], positive) if p == side}) for side in (True, False)]
        if min(sides) >= 2:
            covariance = obuchowski(models, positive, case["patients"])
            if len(set(case["patients"])) == len(positive):
                by_unit = delong(models, positive)
                assert np.allclose(covariance, by_unit, atol=1e-12), (covariance, by_unit)
                covariance = by_unit
            # The sum of three estimates may fall below zero; as a variance that is zero.
            answer["variance"] = max(covariance[0, 0], 0.0)
            difference = components(models[0], positive)[0] - components(models[1], positive)[0]
            spread = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
            answer["difference"] = [difference, max(spread, 0.0)]
            if spread > 1e-12:
                z = difference / math.sqrt(spread)
                answer["test"] = [z, normal_p(z)]
    return answer


def called(case):
    classes = list(range(case["classes"]))
    choice = np.argmax(np.array(case["first"]), axis=1)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        case["truth"], choice, labels=classes, zero_division=np.nan
    )
    return {
        "confusion": metrics.confusion_matrix(case["truth"], choice, labels=classes).tolist(),
        "accuracy": metrics.accuracy_score(case["truth"], choice),
        "precision": precision.tolist(),
        "recall": recall.tolist(),
        "specificity": [
            metrics.recall_score(np.array(case["truth"]) != c, choice != c, zero_division=np.nan) for c in classes
        ],
        "f1": f1.tolist(),
        # A class that is absent and never chosen has no F1; scikit-learn 1.7 says nan there too.
        "macro": [float(np.mean(v)) for v in (recall, precision, f1)],
        "log_loss": metrics.log_loss(case["truth"], np.array(case["first"]), labels=classes),
    }


def scaled(case):
    """The best maps by a general-purpose minimiser."""
    x = np.log(np.maximum(np.array(case["first"]), 1e-12))
    truth = np.array(case["truth"])
    k = case["classes"]
    rows = np.arange(len(truth))

    def loss(weights, offsets):
        logits = x @ weights.T + offsets
        top = logits.max(axis=1)
        return float(np.sum(np.log(np.exp(logits - top[:, None]).sum(axis=1)) + top - logits[rows, truth]))

    def temperature(v):
        return loss(np.eye(k) * v[0], np.zeros(k))

    def vector(v):
        start = np.concatenate([np.ones(k), np.zeros(k)])
        return loss(np.diag(v[:k]), v[k:]) + 0.5 * float(np.sum((v - start) ** 2))

    def dirichlet(v):
        start = np.concatenate([np.eye(k).ravel(), np.zeros(k)])
        return loss(v[: k * k].reshape(k, k), v[k * k :]) + 0.5 * float(np.sum((v - start) ** 2))

    starts = [np.ones(1), np.concatenate([np.ones(k), np.zeros(k)]), np.concatenate([np.eye(k).ravel(), np.zeros(k)])]
    answers = []
    for f, start in zip((temperature, vector, dirichlet), starts):
        bounds = [(0.1, 5.0)] if f is temperature else None
        found = minimize(f, start, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 5000})
        answers.append(found.x.tolist())
    return answers


def answer(case):
    found = areas(case) | called(case)
    if case["scale"]:
        found["scaled"] = scaled(case)
    return found


json.dump([answer(case) for case in json.load(sys.stdin)], sys.stdout)
