/**
 * A cluster that is written to is backed up by schedule into a bucket; then everything of it is deleted, volumes too, and a cluster made
 * from the newest backup has exactly the writes that were acknowledged up to its revision.
 */
import { randomUUID } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { freePort } from '../../members/member-process.ts'
import { readBack } from '../cluster/ledger.ts'
import { CLUSTER } from '../names.ts'
import { daemon } from '../process.ts'
import type { Place } from './place.ts'

const ATLEAST = 2
const KEYS = 's3-keys'

const Backup = z.object({
  metadata: z.object({ name: z.string() }),
  status: z
    .object({
      revision: z.number().optional(),
      conditions: z.array(z.object({ type: z.string(), status: z.string(), message: z.string() })).default([]),
    })
    .prefault({}),
})
type Backup = z.output<typeof Backup>

export async function backUpAndRestore(place: Place): Promise<void> {
  if (!place.options.isBox) return place.note('left out: the bucket runs on the machine of the box')
  const folder = mkdtempSync(join(tmpdir(), 'raftkv-e2e-bucket-'))
  const port = await freePort()
  const program = join(place.options.programs, 'gofakes3')
  const flags = ['-backend=bolt', `-bolt.db=${join(folder, 'bucket.db')}`, '-initialbucket=backups']
  const bucket = daemon([program, ...flags, `-host=0.0.0.0:${port}`], join(folder, 'bucket.log'), folder)
  try {
    await run(place, port)
  } finally {
    bucket.kill('SIGKILL')
  }
}

async function run(place: Place, port: number): Promise<void> {
  await place.form({ replicas: 3 })
  const s3 = {
    bucket: 'backups',
    prefix: 'e2e',
    endpoint: `http://${await nodeAddress(place)}:${port}`,
    forcePathStyle: true,
    credentialsSecretRef: { name: KEYS },
  }
  await place.step(`${ATLEAST} backups are taken by schedule while it is written to`, async () => {
    const stringData = { AWS_ACCESS_KEY_ID: randomUUID(), AWS_SECRET_ACCESS_KEY: randomUUID() }
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: KEYS, namespace: place.namespace },
      stringData,
    }
    await place.kube.kubectl(['create', '-f', '-'], { input: JSON.stringify(secret) })
    const spec = { clusterName: CLUSTER, schedule: '* * * * *', immediate: true, destination: { s3 } }
    await apply(place, 'ScheduledRaftBackup', 'often', spec)
    await place.until(`${ATLEAST} backups`, async () => ((await complete(place)).length >= ATLEAST ? true : undefined))
    await place.untilCondition({ type: 'BackupReady', status: 'True' })
  })
  const puts = await place.stopWriting()
  const newest = (await complete(place)).toSorted((a, b) => (a.status.revision ?? 0) - (b.status.revision ?? 0)).at(-1)
  const revision = newest?.status.revision ?? 0
  await place.step('everything of the cluster is deleted, volumes too', async () => {
    await place.kubectl('delete', 'scheduledraftbackup', 'often', '--cascade=orphan')
    await place.kubectl('delete', 'pod', 'writers', '--ignore-not-found')
    await place.kubectl('delete', 'raftcluster', CLUSTER, '--timeout=60s')
    await place.kubectl('wait', '--for=delete', 'pod', '-l', 'raftkv.dev/cluster=demo', '--timeout=60s')
    await place.kubectl('delete', 'pvc', '-l', 'raftkv.dev/cluster=demo', '--timeout=60s')
  })
  await place.step(`a cluster is made from the backup of revision ${revision}`, async () => {
    const restore = { backup: newest?.metadata.name, bumpRevision: 0 }
    await place.apply({ replicas: 3, bootstrap: { restore } })
    await place.untilReady()
  })
  await place.step('exactly the writes that were acknowledged up to its revision are there', async () => {
    const stored = await readBack(place.kube, place.namespace)
    const late = stored.filter(({ modRevision }) => modRevision > revision)
    if (late.length > 0) throw new Error(`${late.length} keys are newer than the backup`)
    // One that came later is not lost: it was not in the backup.
    place.holds(
      puts.filter((put) => put.revision === undefined || put.revision <= revision),
      stored,
    )
  })
}

async function complete(place: Place): Promise<readonly Backup[]> {
  const list = z.object({ items: z.array(Backup) })
  const all = list.parse(JSON.parse(await place.kubectl('get', 'raftbackups', '-o', 'json'))).items
  const failed = all.flatMap(({ status }) =>
    status.conditions.filter(({ type, status }) => type === 'Failed' && status === 'True'),
  )
  if (failed.length > 0) throw new Error(failed.map(({ message }) => message).join('; '))
  return all.filter(({ status }) =>
    status.conditions.some(({ type, status }) => type === 'Complete' && status === 'True'),
  )
}

/** Where pods reach what runs on the machine. */
async function nodeAddress(place: Place): Promise<string> {
  const path = '{.items[0].status.addresses[?(@.type=="InternalIP")].address}'
  return (await place.kubectl('get', 'nodes', '-o', `jsonpath=${path}`)).trim()
}

async function apply(place: Place, kind: string, name: string, spec: object): Promise<void> {
  const object = { apiVersion: 'raftkv.dev/v1alpha1', kind, metadata: { name, namespace: place.namespace }, spec }
  await place.kube.kubectl(['apply', '-f', '-'], { input: JSON.stringify(object) })
}
