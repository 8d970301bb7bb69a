/**
 * A cluster that is written to is backed up by schedule into a bucket, with every change between two backups; then everything of it is
 * deleted, volumes too, and a cluster made from the newest backup, and others as it was at revisions between and after the backups, have
 * exactly the writes that were acknowledged up to those.
 */
import { randomUUID } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { mostAgeMs } from '../checks/kept-age.ts'
import type { Put } from '../checks/writes.ts'
import { freePort } from '../../members/member-process.ts'
import { readBack } from '../cluster/ledger.ts'
import { copyPlugin } from '../cluster/plugin.ts'
import { CLUSTER } from '../names.ts'
import { daemon } from '../process.ts'
import type { Place } from './place.ts'

const ATLEAST = 2
const KEYS = 's3-keys'
const SCHEDULE = 'often'
const INTERVAL_SECONDS = 5
/** Of what could be restored, under writes. */
const MOST_AGE_MS = 15_000

const Backup = z.object({
  metadata: z.object({ name: z.string() }),
  status: z
    .object({
      revision: z.number().optional(),
      clusterID: z.string().optional(),
      verified: z.boolean().optional(),
      verifyMessage: z.string().default(''),
      conditions: z.array(z.object({ type: z.string(), status: z.string(), message: z.string() })).default([]),
    })
    .prefault({}),
})
type Backup = z.output<typeof Backup>

const Schedule = z.object({
  status: z.object({
    changeStream: z.object({ revision: z.number() }),
    conditions: z.array(z.object({ type: z.string(), status: z.string() })),
  }),
})

export async function backUpAndRestore(place: Place): Promise<void> {
  if (!place.options.isBox) return place.note('left out: the bucket runs on the machine of the box')
  const folder = mkdtempSync(join(tmpdir(), 'raftkv-e2e-bucket-'))
  const port = await freePort()
  const program = join(place.options.programs, 'gofakes3')
  const flags = ['-backend=bolt', `-bolt.db=${join(folder, 'bucket.db')}`, '-initialbucket=backups']
  const bucket = daemon([program, ...flags, `-host=0.0.0.0:${port}`], join(folder, 'bucket.log'), folder)
  try {
    await run(place, port, folder)
  } finally {
    bucket.kill('SIGKILL')
  }
}

async function run(place: Place, port: number, folder: string): Promise<void> {
  await place.form({ replicas: 3 })
  const s3 = {
    bucket: 'backups',
    prefix: 'e2e',
    endpoint: `http://${await nodeAddress(place)}:${port}`,
    forcePathStyle: true,
    credentialsSecretRef: { name: KEYS },
  }
  await place.step(
    `${ATLEAST} backups are taken and verified by schedule while it is written to, and every change is kept`,
    async () => {
      const stringData = { AWS_ACCESS_KEY_ID: randomUUID(), AWS_SECRET_ACCESS_KEY: randomUUID() }
      const secret = {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: KEYS, namespace: place.namespace },
        stringData,
      }
      await place.kube.kubectl(['create', '-f', '-'], { input: JSON.stringify(secret) })
      const changeStream = { enabled: true, intervalSeconds: INTERVAL_SECONDS }
      const what = { clusterName: CLUSTER, destination: { s3 }, changeStream, verify: {} }
      await apply(place, 'ScheduledRaftBackup', SCHEDULE, { ...what, schedule: '* * * * *', immediate: true })
      await place.until(`${ATLEAST} backups`, async () => {
        const backups = await complete(place)
        const wrong = backups.find(({ status }) => status.verified !== true)
        if (wrong !== undefined)
          throw new Error(`${wrong.metadata.name} is not verified: ${wrong.status.verifyMessage}`)
        return backups.length >= ATLEAST ? true : undefined
      })
      await place.untilCondition({ type: 'BackupReady', status: 'True' })
    },
  )
  await place.step('kubectl raft, out of the operator’s image, shows the cluster and takes a backup', () =>
    usePlugin(place, folder),
  )
  const puts = await place.stopWriting()
  const last = Math.max(...puts.map(({ revision }) => revision ?? 0))
  await place.step(`everything up to revision ${last} is kept`, () => untilKept(place, last))
  const log = await place.kubectl('logs', `deployment/${SCHEDULE}-changes`, '--timestamps')
  place.figure({ title: 'most age of what could be restored', value: mostAgeMs(log), unit: 'ms', target: MOST_AGE_MS })
  const taken = (await complete(place)).toSorted((a, b) => (a.status.revision ?? 0) - (b.status.revision ?? 0))
  const [oldest, newest] = [taken[0], taken.at(-1)]
  await place.step('suspended, nobody keeps changes any more', async () => {
    await place.kubectl('patch', `scheduledraftbackup/${SCHEDULE}`, '--type=merge', '-p', '{"spec":{"suspend":true}}')
    await place.kubectl('wait', '--for=delete', `deployment/${SCHEDULE}-changes`, '--timeout=60s')
    await place.kubectl(
      'wait',
      '--for=delete',
      'pod',
      '-l',
      'app.kubernetes.io/component=change-stream',
      '--timeout=60s',
    )
    await place.kubectl('delete', 'scheduledraftbackup', SCHEDULE, '--cascade=orphan')
    await place.kubectl('delete', 'pod', 'writers', '--ignore-not-found')
  })
  const first = oldest?.status.revision ?? 0
  const between = first + Math.floor(Math.random() * (last - first))
  const source = { s3, clusterID: newest?.status.clusterID }
  await restore(place, puts, newest?.status.revision ?? 0, { backup: newest?.metadata.name })
  await restore(place, puts, between, { source, revision: between })
  await restore(place, puts, last, { source, revision: last })
}

async function usePlugin(place: Place, folder: string): Promise<void> {
  const raft = await copyPlugin(place.kube, folder, place.namespace)
  const shown = await raft('status', CLUSTER)
  if (!shown.startsWith(`RaftCluster ${place.namespace}/${CLUSTER}\n`)) throw new Error(`status shows ${shown}`)
  const said = await raft('backup', CLUSTER, '--like', SCHEDULE)
  const name = / as (\S+)\n$/.exec(said)?.[1]
  const taken = (await complete(place)).map(({ metadata }) => metadata.name)
  const [object = ''] = said.split(' ')
  if (name === undefined || !taken.includes(object)) throw new Error(`it says ${said}; there are ${taken.join(', ')}`)
}

async function untilKept(place: Place, revision: number): Promise<void> {
  await place.until(`everything up to revision ${revision} kept`, async () => {
    const { status } = Schedule.parse(
      JSON.parse(await place.kubectl('get', 'scheduledraftbackup', SCHEDULE, '-o', 'json')),
    )
    const isReady = status.conditions.some(({ type, status: is }) => type === 'ChangeStreamReady' && is === 'True')
    return isReady && status.changeStream.revision >= revision ? true : undefined
  })
}

/** In the place of the cluster that is there, of which nothing stays. */
async function restore(place: Place, puts: readonly Put[], revision: number, from: object): Promise<void> {
  await place.step('everything of the cluster is deleted, volumes too', async () => {
    await place.kubectl('delete', 'raftcluster', CLUSTER, '--timeout=60s')
    await place.kubectl('wait', '--for=delete', 'pod', '-l', 'raftkv.dev/cluster=demo', '--timeout=60s')
    await place.kubectl('delete', 'pvc', '-l', 'raftkv.dev/cluster=demo', '--timeout=60s')
  })
  await place.step(`a cluster is made as it was at revision ${revision}`, async () => {
    await place.apply({ replicas: 3, bootstrap: { restore: { ...from, bumpRevision: 0 } } })
    await place.untilReady()
  })
  await place.step('exactly the writes that were acknowledged up to its revision are there', async () => {
    const stored = await readBack(place.kube, place.namespace)
    const late = stored.filter(({ modRevision }) => modRevision > revision)
    if (late.length > 0) throw new Error(`${late.length} keys are newer than revision ${revision}`)
    // One that came later is not lost: it was not there yet.
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
