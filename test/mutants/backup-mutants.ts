/** Bugs of the operator's part in backups: operator/backup/simulation.test.ts looks for them. */
import type { Mutant } from './plant.ts'

const BACKUP = 'operator/backup'

export const BACKUP_MUTANTS: readonly Mutant[] = [
  {
    name: 'a backup counts when its Job ended well, whatever it said',
    file: `${BACKUP}/outcome.ts`,
    find: 'decodeBackupResult(message) ?? []',
    replace: "decodeBackupResult(message) ?? ({ revision: 1, takenAt: '2026-11-30T00:00:00Z' } as never)",
  },
  {
    name: 'what has ended is looked at again',
    file: `${BACKUP}/outcome.ts`,
    find: 'if (isFinished(backup)) return backup.status',
    replace: 'if (backup.status.startedAt === "") return backup.status',
  },
  {
    name: 'a Job begins while another one is under way',
    file: `${BACKUP}/decide.ts`,
    find: 'const job = jobs.find(({ end }) => end === undefined)',
    replace: 'const job = jobs.find(({ end }) => end === undefined && pods.length === 0)',
  },
  {
    name: 'a pod whose Job was deleted counts as gone',
    file: `${BACKUP}/decide.ts`,
    find: 'const pod = pods.find(({ isOver }) => !isOver)',
    replace: 'const pod = pods.find(({ isOver }) => !isOver && jobs.length < 0)',
  },
  {
    name: 'after a Job of which no answer came the next one is tried',
    file: `${BACKUP}/reconcile.ts`,
    find: "if (kind === 'unavailable') throw error\n      refusals",
    replace: 'refusals',
  },
  {
    name: 'a schedule makes the next backup before the last one has ended',
    file: `${BACKUP}/decide.ts`,
    find: 'isActive && own.every(isFinished)',
    replace: 'isActive',
  },
  {
    name: 'a backup is forgotten when the oldest is newer than another one',
    file: `${BACKUP}/decide.ts`,
    find: 'isOlder({ revision, takenAt }, later.oldest)',
    replace: 'isOlder({ revision, takenAt }, { ...later.oldest, revision: later.oldest.revision + 3 })',
  },
  {
    name: 'a rehearsal that failed counts as verified',
    file: `${BACKUP}/outcome.ts`,
    find: 'verified: rehearsal.isVerified',
    replace: 'verified: true',
  },
]

/** In which backups are restored to try them, and what is told of it: reconcile.test.ts looks for them. */
export const VERIFY_MUTANTS: readonly Mutant[] = [
  {
    name: 'which backup is verified is forgotten when the operator looks again',
    file: `${BACKUP}/verification.ts`,
    find: 'else if (since !== undefined) since += 1',
    replace: 'else since = undefined',
  },
  {
    name: 'after a restore that failed the next backups are not tried',
    file: `${BACKUP}/verification.ts`,
    find: 'since = verified ? 0 : undefined',
    replace: 'since = 0',
  },
  {
    name: 'a backup that was not tried hides one that could not be restored',
    file: `${BACKUP}/decide.ts`,
    find: 'ended.find(({ status }) => status.verified !== undefined)',
    replace: 'ended[0]',
  },
]

/** In how a restore is tried: rehearsal.test.ts looks for them. */
export const REHEARSAL_MUTANTS: readonly Mutant[] = [
  {
    name: 'a restore passes whatever the member has that came of it',
    file: 'node-server/tools/rehearsal.ts',
    find: 'if (hash === expected.value.hash)',
    replace: 'if (hash > 0)',
  },
  {
    name: 'a restore that is larger than its room is begun',
    file: 'node-server/tools/rehearsal.ts',
    find: 'if (neededBytes > maxBytes)',
    replace: 'if (maxBytes < 0)',
  },
]

/** In how the operator has changes kept: the same simulation looks for them. */
export const STREAM_MUTANTS: readonly Mutant[] = [
  {
    name: 'a suspended schedule goes on keeping changes',
    file: `${BACKUP}/stream.ts`,
    find: 'if (schedule.spec.suspend) return',
    replace: 'if (schedule.spec.suspend && deployment === undefined) return',
  },
  {
    name: 'two schedules keep changes in one place',
    file: `${BACKUP}/stream.ts`,
    find: 'if (first !== undefined && first.metadata.uid !== uid) return',
    replace: 'if (first !== undefined && first.metadata.uid === undefined) return',
  },
  {
    name: 'a pod that still writes into the place is not waited for',
    file: `${BACKUP}/stream.ts`,
    find: 'one.place === place && !one.isOver,',
    replace: 'one.place === place && one.isOver,',
  },
  {
    name: 'a Deployment of another schedule that is still there is not waited for',
    file: `${BACKUP}/stream.ts`,
    find: 'if (deployment !== undefined) return `Deployment',
    replace: 'if (deployment?.place === undefined && deployment !== undefined) return `Deployment',
  },
  {
    name: "a Deployment that is somebody else's is taken over",
    file: `${BACKUP}/stream.ts`,
    find: 'if (deployment !== undefined && own === undefined) {',
    replace: 'if (deployment !== undefined && own === undefined && deployment.replicas > 9) {',
  },
  {
    name: 'figures of the place before stay for another one',
    file: `${BACKUP}/stream.ts`,
    find: 'const isSame = before?.place === place &&',
    replace: 'const isSame = before !== undefined &&',
  },
  {
    name: 'an edited schedule leaves its Deployment as it was',
    file: `${BACKUP}/stream.ts`,
    find: 'own.specHash === hash && own.replicas === 1',
    replace: 'own.replicas === 1',
  },
]

const CHANGES = 'node-server/backup/changes'

/** In how changes are kept: follow.test.ts looks for them. */
export const CHANGES_MUTANTS: readonly Mutant[] = [
  {
    name: 'what the cluster has at the last kept revision is not compared',
    file: `${CHANGES}/following.ts`,
    find: "kept !== '' && fingerprint !== '' && kept !== fingerprint",
    replace: "kept !== '' && fingerprint !== '' && kept === undefined",
  },
  {
    name: 'a cluster that has less than is kept is waited for',
    file: `${CHANGES}/following.ts`,
    find: 'if (current < revision)',
    replace: 'if (current < 0)',
  },
  {
    name: 'a segment ends within a revision',
    file: `${CHANGES}/following.ts`,
    find: 'builder.isEmpty || !builder.isWhole',
    replace: 'builder.isEmpty || builder.endRevision() !== undefined',
  },
  {
    name: 'it goes on after the newest backup, whatever is missing before it',
    file: `${CHANGES}/chain.ts`,
    find: 'revision !== ends[i - 1]?.revision)',
    replace: 'i === ends.length - 1 && revision !== ends[i - 1]?.revision)',
  },
  {
    name: 'a segment that is damaged is gone on from',
    file: `${CHANGES}/segment.ts`,
    find: "if (!createHash('sha256').update(rest).digest().equals(digest)) throw",
    replace: 'if (digest.length === 0) throw',
  },
  {
    name: 'another history goes on in the line of the one before',
    file: `${CHANGES}/follow.ts`,
    find: 'await beginLine(',
    replace: 'void ((..._: unknown[]) => undefined)(',
  },
]

/** In which changes stay: chain.test.ts looks for them. */
export const RETENTION_MUTANTS: readonly Mutant[] = [
  {
    name: 'changes go that an older backup than the newest needs',
    file: `${CHANGES}/chain.ts`,
    find: 'Math.min(full.revision, oldest.get(line) ?? Infinity)',
    replace: 'Math.max(full.revision, oldest.get(line) ?? 0)',
  },
  {
    name: 'changes stay that are all in the oldest backup',
    file: `${CHANGES}/chain.ts`,
    find: 'last <= neededFrom(line)',
    replace: 'last < neededFrom(line)',
  },
]

/** In how a cluster is made from a backup: operator/cluster/restore.test.ts looks for them. */
export const RESTORE_MUTANTS: readonly Mutant[] = [
  {
    name: 'pods start before the first volume is filled',
    file: 'operator/cluster/rules/replicas.ts',
    find: ' || awaitsRestore(observed))',
    replace: ')',
  },
  {
    name: 'a Job fills a volume that is not recorded',
    file: 'operator/cluster/rules/fill.ts',
    find: "{ kind: 'record-operation', operation },\n      { kind: 'create'",
    replace: "{ kind: 'create'",
  },
  {
    name: 'a first volume that was lost is filled again',
    file: 'operator/cluster/rules/form.ts',
    find: "if (operation?.type === 'Form' && isLost) return seedLost(observed)",
    replace: 'if (isLost && observed.pods.size < 0) return seedLost(observed)',
  },
]

/** In how a backup takes the place of a lost quorum: operator/cluster/restore-in-place.test.ts looks for them, beside the seeds. */
export const RESTORE_IN_PLACE_MUTANTS: readonly Mutant[] = [
  {
    name: 'a cluster out of a backup still counts the members of the one that it replaced',
    file: 'operator/cluster/switch.ts',
    find: '    members: [],\n',
    replace: '',
  },
  {
    name: 'a volume that is being filled gets a pod',
    file: 'operator/cluster/observed.ts',
    find: "['RemovePod', 'DeleteVolume', 'Restore']",
    replace: "['RemovePod', 'DeleteVolume']",
  },
  {
    name: 'a claim of a replaced cluster says that it has the data of the new one',
    file: 'operator/cluster/rules/claims.ts',
    find: 'clusterID !== undefined && clusterID !== recorded.clusterID && !memberOrdinals',
    replace: "clusterID === '' && clusterID !== recorded.clusterID && !memberOrdinals",
  },
  {
    name: 'a Job is begun while the pod of an earlier one may still write',
    file: 'operator/cluster/rules/restore-in-place.ts',
    find: 'if (running.length === 0) return undefined',
    replace: 'if (running.length >= 0) return undefined',
  },
  {
    name: 'a restore goes on although the quorum is back',
    file: 'operator/cluster/rules/restore-in-place.ts',
    find: 'if (isFilling(cluster)) return giveUp(observed)',
    replace: 'if (isFilling(cluster)) return undefined',
  },
]
