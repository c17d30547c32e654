#!/bin/sh
# A Slurm cluster of this machine alone, for the tests: one_node.sh start FOLDER | stop FOLDER. As root; needs slurmctld,
# slurmd and munged. FOLDER gets state, keys and logs. Slurm wants its config in /etc/slurm: one that is not ours is left
# alone, and ours is removed at the end.
set -eu
folder=$2
conf=/etc/slurm/slurm.conf
mark="# of Spinloom's tests"

stop() {
    for name in slurmd slurmctld munged; do
        if [ -f "$folder/$name.pid" ]; then kill "$(cat "$folder/$name.pid")" 2>/dev/null || true; fi
    done
    if [ -f $conf ] && grep -q "^$mark" $conf; then rm $conf; fi
}

start() {
    if [ -f $conf ] && ! grep -q "^$mark" $conf; then echo "$conf: there already, and not ours" >&2; exit 1; fi
    mkdir -p "$folder/state" "$folder/spool" /etc/slurm
    chmod 755 "$folder"
    head -c 1024 /dev/urandom > "$folder/munge.key"
    chmod 600 "$folder/munge.key"
    cat > $conf <<CONF
$mark
ClusterName=one
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SchedulerParameters=sched_interval=2,bf_interval=2
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=2 RealMemory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
    munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
        --log-file="$folder/munged.log" --seed-file="$folder/munged.seed"
    slurmctld
    slurmd
    # until a job runs
    timeout -k 5 60 srun --immediate=50 true
}

"$1"
