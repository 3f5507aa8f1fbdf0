# Which backend runs the jobs on this site. Every heavy stage calls `$train_cmd JOB=1:$nj LOG COMMAND...` (Kaldi's way);
# ROOT comes from path.sh. A variable of the environment wins: train_cmd="..." ./run.sh
# shellcheck shell=bash disable=SC2034  # read by the recipes

# On this machine:
train_cmd="${train_cmd:-$ROOT/tools/run_jobs.py --backend local}"
decode_cmd="${decode_cmd:-$ROOT/tools/run_jobs.py --backend local}"

# On a Slurm cluster (resources in conf/slurm.conf), instead of the two lines above:
# train_cmd="${train_cmd:-$ROOT/tools/run_jobs.py --backend slurm}"
# decode_cmd="${decode_cmd:-$ROOT/tools/run_jobs.py --backend slurm}"
