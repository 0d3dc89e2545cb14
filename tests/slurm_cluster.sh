#!/usr/bin/env bash
# A Slurm cluster of one node, this machine, for tests: `slurm_cluster.sh start FOLDER` and `slurm_cluster.sh stop FOLDER`.
# Its configuration is FOLDER/slurm.conf, which SLURM_CONF has to name. Needs Slurm, munge and root. Several are no
# trouble to each other, since every one has ports of its own.
set -euo pipefail
action=$1 folder=$2
conf=$folder/slurm.conf

if [ "$action" = stop ]; then
  for daemon in slurmd slurmctld; do
    if [ -f "$folder/$daemon.pid" ]; then kill "$(cat "$folder/$daemon.pid")" || true; fi
  done
  exit
fi

free_ports() {
  python3 -c 'import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(one.getsockname()[1] for one in sockets))'
}

mkdir -p "$folder/state" "$folder/spool"
host=$(hostname -s)
read -r port_of_controller port_of_node <<<"$(free_ports)"
# No accounting, as on many small clusters. More CPUs than there are, so that jobs run side by side anywhere. The short
# times are for tests: until a job that is queued again starts (cred_expire), and between SIGTERM and SIGKILL (KillWait).
cat >"$conf" <<CONF
ClusterName=tests
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port_of_controller
SlurmdPort=$port_of_node
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=cred_expire=5
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1,sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MaxArraySize=1001
KillWait=2
NodeName=$host NodeAddr=127.0.0.1 Port=$port_of_node CPUs=8 State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
PartitionName=short Nodes=$host MaxTime=10 State=UP
CONF
export SLURM_CONF=$conf

if ! munge -n >/dev/null 2>&1; then # one for the machine, which stays; another cluster may be starting it, too
  mkdir -p /run/munge
  chown munge /run/munge
  su -s /bin/sh munge -c /usr/sbin/munged || true
  for _ in $(seq 50); do
    if munge -n >/dev/null 2>&1; then break; fi
    sleep 0.1
  done
fi
slurmctld -f "$conf"
slurmd -f "$conf"
for _ in $(seq 100); do
  if [ "$(sinfo --noheader --partition=main --format=%T)" = idle ]; then exit; fi
  sleep 0.2
done
echo "The node does not come up; see $folder/slurmctld.log and $folder/slurmd.log" >&2
exit 1
