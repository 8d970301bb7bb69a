import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRaftBackup } from '../operator/api/raft-backup.ts'
import { parseRaftCluster } from '../operator/api/raft-cluster.ts'
import { awaitBackup, backupObject, create, specAfter } from './backup.ts'
import { KubectlFailed, type Kubectl } from './kubectl.ts'
import { placeOf } from './place.ts'
import { restoredCluster, specLike } from './restore.ts'

const NOW = Date.parse('2026-11-30T03:04:05.678Z')
const META = { namespace: 'ns', uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' }

/** Answers what is asked for, in its order. */
function kubectlThat(
  ...answers: readonly (string | object)[]
): Kubectl & { readonly asked: { args: string; input: string | undefined }[] } {
  // prettier-ignore
  const asked: { args: string; input: string | undefined }[] = []
  const left = [...answers]
  return {
    asked,
    text: async (args, input) => {
      asked.push({ args: args.join(' '), input })
      const answer = left.shift()
      assert(answer !== undefined, `nobody expects ${args.join(' ')}`)
      return typeof answer === 'string' ? answer : JSON.stringify(answer)
    },
    show: () => assert.fail('nothing is shown'),
    start: () => assert.fail('nothing is started'),
  }
}

const schedule = (name: string, clusterName: string): object => ({
  metadata: { name },
  spec: { clusterName, schedule: '@daily', timeZone: 'UTC', suspend: true, changeStream: { enabled: true }, verify: { every: 3 }, retention: { count: 3 }, destination: { volume: { claimName: name } } }, // prettier-ignore
})

test('places are written as URLs, and refused by name', () => {
  const s3 = placeOf('s3://backups/prod/a', { endpoint: 'https://minio:9000', credentials: 'keys', pathStyle: true })
  assert.deepEqual(s3, { s3: { bucket: 'backups', prefix: 'prod/a', endpoint: 'https://minio:9000', credentialsSecretRef: { name: 'keys' }, forcePathStyle: true } }) // prettier-ignore
  assert.deepEqual(placeOf('s3://backups', {}), { s3: { bucket: 'backups', forcePathStyle: false } })
  assert.deepEqual(placeOf('pvc://claim/a/b/', {}), { volume: { claimName: 'claim', path: 'a/b' } })
  assert.throws(() => placeOf('/mnt/backups', {}), /s3:\/\/BUCKET\/PREFIX or pvc:\/\/CLAIM\/PATH/)
  assert.throws(() => placeOf('pvc://claim', { region: 'r' }), /are for buckets/)
  assert.throws(() => placeOf('s3://B', {}), /s3\.bucket/)
  assert.throws(() => placeOf('pvc://claim/../etc', {}), /volume\.path/)
})

test('a backup is like that of the only schedule, or of the one that is named', async () => {
  const list = { items: [schedule('nightly', 'demo'), schedule('other', 'else')] }
  const spec = await specAfter(kubectlThat(list), 'demo')
  assert.deepEqual(spec, { clusterName: 'demo', retention: { count: 3 }, destination: { volume: { claimName: 'nightly' } } }) // prettier-ignore
  const several = { items: [schedule('a', 'demo'), schedule('b', 'demo')] }
  assert.deepEqual(await specAfter(kubectlThat(several), 'demo', 'b').then((one) => Reflect.get(one, 'destination')), { volume: { claimName: 'b' } }) // prettier-ignore
  await assert.rejects(specAfter(kubectlThat(several), 'demo'), /several schedules: give --like one of a, b/)
  await assert.rejects(specAfter(kubectlThat(several), 'demo', 'c'), /no ScheduledRaftBackup c; there is a, b/)
  await assert.rejects(specAfter(kubectlThat({ items: [] }), 'demo'), /give --to/)
})

test('what is made is a RaftBackup that the operator reads, with a name that is not too long', async () => {
  const object = backupObject('demo', { destination: placeOf('s3://backups', {}) }, NOW)
  const read = parseRaftBackup({ ...object, metadata: { ...META, ...Reflect.get(object, 'metadata') } })
  assert(read.ok, read.ok ? '' : read.error)
  assert.deepEqual([read.value.metadata.name, read.value.spec.clusterName], ['demo-20261130-030405', 'demo'])
  const long = Reflect.get(backupObject('d'.repeat(40), {}, NOW), 'metadata') as { readonly name: string }
  assert.equal(long.name.length, 52)
  const kubectl = kubectlThat('raftbackup.raftkv.dev/demo-1\n')
  assert.equal(await create(kubectl, object), 'demo-1')
  assert.deepEqual(JSON.parse(kubectl.asked[0]?.input ?? ''), object)
})

test('a backup is waited for; one that fails says why', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const told: string[] = []
  const condition = (type: string, status: string, reason: string, message = ''): object => ({ type, status, reason, message }) // prettier-ignore
  const running = { status: { conditions: [condition('Complete', 'False', 'Waiting', 'for another')] } }
  const complete = { status: { place: 's3://backups', name: 'c/1', revision: 42, storedBytes: 2048, durationSeconds: 3, conditions: [condition('Complete', 'True', 'Complete')] } } // prettier-ignore
  const kubectl = kubectlThat({}, running, running, complete)
  const waiting = { isOver: false }
  const result = awaitBackup(kubectl, 'demo-1', 60, (line) => told.push(line)).finally(() => (waiting.isOver = true))
  while (!waiting.isOver) {
    await new Promise((resolve) => setImmediate(resolve))
    t.mock.timers.tick(2000)
  }
  assert.equal(await result, 'demo-1 is complete: revision 42, 2.0 KiB, 3 s, in s3://backups as c/1')
  assert.deepEqual(told, ['demo-1: waits for the operator', 'demo-1: Waiting: for another'])
  const failed = { status: { conditions: [condition('Failed', 'True', 'BackupFailed', 'access denied')] } }
  await assert.rejects(awaitBackup(kubectlThat(failed), 'demo-1', 60, () => undefined), (error) => error instanceof KubectlFailed && /BackupFailed: access denied/.test(error.message)) // prettier-ignore
  await assert.rejects(awaitBackup(kubectlThat(running), 'demo-1', 1, () => undefined), /not complete after 1 s: Waiting: for another/) // prettier-ignore
})

test('a restored cluster is like the one that the backup is of, and has its own beginning', async () => {
  const spec = { replicas: 5, storage: { size: '20Gi' }, paused: true, recovery: { request: { id: 'x' } }, bootstrap: { restore: { backup: 'old' } } } // prettier-ignore
  const like = await specLike(kubectlThat({ spec: { clusterName: 'demo' } }, { spec }), undefined, 'b1')
  assert.deepEqual(like, { replicas: 5, storage: { size: '20Gi' } })
  assert(like !== undefined)
  const object = restoredCluster('demo-2', like, { backup: 'b1', revision: 7 })
  const read = parseRaftCluster({ ...object, metadata: { ...META, name: 'demo-2' } })
  assert(read.ok, read.ok ? '' : read.error)
  assert.equal(read.value.spec.bootstrap?.restore?.backup, 'b1')
  assert.equal(read.value.spec.bootstrap?.restore?.revision, 7)
  assert.deepEqual(read.value.unknownFields, [])
  const place = placeOf('pvc://backups', {})
  const from = restoredCluster('demo-2', { replicas: 3 }, { place, name: 'c/1', time: 'latest' })
  const readFrom = parseRaftCluster({ ...from, metadata: { ...META, name: 'demo-2' } })
  assert(readFrom.ok, readFrom.ok ? '' : readFrom.error)
  assert.equal(readFrom.value.spec.bootstrap?.restore?.source?.name, 'c/1')
})

test('without a cluster to take the spec from, a restore is refused if --like named it, and needs none otherwise', async () => {
  assert.equal(await specLike(kubectlThat(), undefined, undefined), undefined)
  assert.equal(await specLike(kubectlThat({ spec: { clusterName: 'gone' } }, ''), undefined, 'b1'), undefined)
  await assert.rejects(specLike(kubectlThat(''), 'gone', undefined), /RaftCluster gone does not exist/)
})

test('a restore is from one backup, and to one moment', () => {
  const place = placeOf('pvc://backups', {})
  for (const [from, problem] of [
    [{}, /either --backup/],
    [{ backup: 'a', place }, /either --backup/],
    [{ backup: 'a', revision: 1, time: 'latest' }, /either --revision/],
    [{ backup: 'a', name: 'b' }, /--name/],
  ] as const)
    assert.throws(() => restoredCluster('n', {}, from), problem)
})
