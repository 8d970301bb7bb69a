/** One more client: etcd's own command line, a process for each call, with all members as its endpoints. */
import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { z } from 'zod'
import { seeded, type Random } from '../../node-server/raft/testing/random.ts'
import type { Operation, Request, Response, Version } from './record.ts'

const run = promisify(execFile)
const PAUSE_MS = 200
const FLAGS = ['--write-out=json', '--dial-timeout=1s', '--command-timeout=2s']
/** More than its own timeouts. */
const KILL_AFTER_MS = 10_000

const KeyValue = z.object({
  key: z.base64(),
  value: z.base64().default(''),
  create_revision: z.number(),
  mod_revision: z.number(),
  version: z.number(),
  lease: z.number().default(0),
})
const Answer = z.object({
  header: z.object({ revision: z.number() }),
  kvs: z.array(KeyValue).default([]),
  prev_kv: KeyValue.optional(),
  prev_kvs: z.array(KeyValue).default([]),
})

export async function hasEtcdctl(program: string): Promise<boolean> {
  return run(program, ['version']).then(
    () => true,
    () => false,
  )
}

export interface EtcdctlOptions {
  readonly program: string
  readonly endpoints: readonly string[]
  readonly keys: readonly string[]
  readonly seed: number
  readonly note: (operation: Operation) => void
}

/** Works until the signal; rejects when an answer cannot be read. */
export async function runEtcdctl(options: EtcdctlOptions, signal: AbortSignal): Promise<void> {
  const random = seeded(options.seed * 1000 + 999)
  for (let count = 1; !signal.aborted; count++) {
    await operate(options, nextRequest(random, options.keys, `etcdctl-${count}`))
    await sleep(PAUSE_MS)
  }
}

type Asked = Extract<Request, { kind: 'put' | 'range' | 'delete' }>

function nextRequest(random: Random, keys: readonly string[], value: string): Asked {
  const key = random.pick(keys) ?? ''
  const draw = random.below(10)
  if (draw < 5) return { kind: 'put', key, value, lease: '0' }
  return draw < 8 ? { kind: 'range', key, rangeEnd: '', isSerializable: false } : { kind: 'delete', key, rangeEnd: '' }
}

async function operate({ program, endpoints, note }: EtcdctlOptions, request: Asked): Promise<void> {
  const callMs = performance.now()
  const operation = { client: 'etcdctl', member: 'any', callMs, request }
  const answered = await run(program, [`--endpoints=${endpoints.join()}`, ...FLAGS, ...argumentsOf(request)], {
    timeout: KILL_AFTER_MS,
  }).catch(() => undefined)
  if (answered === undefined) return note({ ...operation, returnMs: undefined, response: undefined })
  note({ ...operation, returnMs: performance.now(), response: responseOf(request, answered.stdout) })
}

function argumentsOf(request: Asked): readonly string[] {
  switch (request.kind) {
    case 'put':
      return ['put', '--prev-kv', request.key, request.value]
    case 'range':
      return ['get', request.key]
    case 'delete':
      return ['del', '--prev-kv', request.key]
    default:
      return request satisfies never
  }
}

function responseOf({ kind }: Asked, json: string): Response {
  const { header, kvs, prev_kv: previous, prev_kvs: deleted } = Answer.parse(JSON.parse(json))
  const { revision } = header
  switch (kind) {
    case 'put':
      return { kind, revision, previous: previous === undefined ? undefined : versionOf(previous) }
    case 'range':
      return { kind, revision, kvs: kvs.map(versionOf) }
    case 'delete':
      return { kind, revision, previous: deleted.map(versionOf) }
    default:
      return kind satisfies never
  }
}

function versionOf(kv: z.infer<typeof KeyValue>): Version {
  return {
    key: Buffer.from(kv.key, 'base64').toString(),
    value: Buffer.from(kv.value, 'base64').toString(),
    createRevision: kv.create_revision,
    modRevision: kv.mod_revision,
    version: kv.version,
    lease: String(kv.lease),
  }
}
