#!/usr/bin/env bash
# Build wheel and sdist, check them, then install the wheel and run it:
#   bash tests/packaging.sh [oldest|newest PYTHON]...
# such as: oldest python3.11 newest python3.13. "oldest" takes every lower bound of pyproject.toml.
# Each environment takes some 6 GB (PyTorch for CUDA) in TMPDIR while it is tried.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" -m venv "$work/tools"
"$work/tools/bin/pip" install --quiet build twine
"$work/tools/bin/python" -m build --quiet --outdir "$work/dist" .
"$work/tools/bin/twine" check --strict "$work"/dist/*
listed=$(tar tzf "$work"/dist/*.tar.gz && "$python" -m zipfile -l "$work"/dist/*.whl)
if grep -E "^(metaact-[^/]+/)?(tests|docs|benchmarks|runs|shared)/|\.(npz|pt|png|ipynb)( |$)" <<< "$listed"; then
    echo "these do not belong into a package" && exit 1
fi
for needed in py.typed page.css table1_mnist_first_epoch_mean.csv __init__.pyi LICENSE; do
    grep -q "$needed" <<< "$listed" || { echo "$needed is missing" && exit 1; }
done

"$python" - > "$work/oldest.txt" <<'PYTHON'
import tomllib

with open("pyproject.toml", "rb") as file:
    print("\n".join(tomllib.load(file)["project"]["dependencies"]).replace(">=", "=="))
PYTHON

while [ $# -ge 2 ]; do
    "$2" -m venv "$work/venv"
    [ "$1" = oldest ] && pins=(--constraint "$work/oldest.txt") || pins=(--upgrade)
    "$work/venv/bin/pip" install --quiet --no-cache-dir "${pins[@]}" "$work"/dist/*.whl
    (
        cd "$work" && rm -rf runs && export PYTHONPATH= PATH="$work/venv/bin:$PATH"
        metaact maml --activation arelu,relu --iterations 2 --tasks 2 --test-episodes 8 \
            --validation-episodes 4 > maml.txt
        metaact converge --activation arelu,relu --lr 1e-2 --images 200 --epochs 1 > converge.txt
        metaact compare > compare.txt && metaact report > report.txt
        metaact runs export --to csv > csv.txt
        grep -q arelu compare.txt && grep -q arelu csv/runs.csv
    )
    echo "$1 on $("$2" --version): installed and run with" \
        "$("$work/venv/bin/pip" list --format freeze | grep -iE '^(torch|numpy|scipy|pillow|matplotlib|click)=' | xargs)"
    rm -rf "$work/venv"
    shift 2
done
echo "packaging: passed"
