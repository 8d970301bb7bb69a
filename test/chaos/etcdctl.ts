/** One more client: etcd's own command line, a process for each call, with all members as its endpoints. */
import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { z } from 'zod'
import type { Answer, KeyValue, Operation } from '../history/operation.ts'
import { seeded, type Random } from '../../node-server/raft/testing/random.ts'

const run = promisify(execFile)
const PAUSE_MS = 200
const FLAGS = ['--write-out=json', '--dial-timeout=1s', '--command-timeout=2s']
/** More than its own timeouts. */
const KILL_AFTER_MS = 10_000

const PrintedKeyValue = z.object({
  key: z.base64(),
  value: z.base64().default(''),
  create_revision: z.number(),
  mod_revision: z.number(),
  version: z.number(),
  lease: z.number().default(0),
})
const Printed = z.object({
  header: z.object({ revision: z.number() }),
  kvs: z.array(PrintedKeyValue).default([]),
  prev_kv: PrintedKeyValue.optional(),
  prev_kvs: z.array(PrintedKeyValue).default([]),
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
  /** Its number as a client. */
  readonly client: number
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

type Asked = Extract<Operation['request'], { kind: 'put' | 'range' | 'delete' }>

function nextRequest(random: Random, keys: readonly string[], value: string): Asked {
  const key = random.pick(keys) ?? ''
  const draw = random.below(10)
  if (draw < 5) return { kind: 'put', key, value, lease: '0', prevKv: true }
  return draw < 8
    ? { kind: 'range', key, rangeEnd: '', revision: 0, serializable: false }
    : { kind: 'delete', key, rangeEnd: '', prevKv: true }
}

async function operate(options: EtcdctlOptions, request: Asked): Promise<void> {
  const { program, endpoints, client, note } = options
  const call = performance.now()
  const printed = await run(program, [`--endpoints=${endpoints.join()}`, ...FLAGS, ...argumentsOf(request)], {
    timeout: KILL_AFTER_MS,
  }).catch(() => undefined)
  const outcome: Operation['outcome'] =
    printed === undefined ? { kind: 'unknown' } : { kind: 'answer', answer: answerOf(request, printed.stdout) }
  note({ client, member: 'any', call, return: performance.now(), request, outcome })
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

function answerOf({ kind }: Asked, json: string): Answer {
  const { header, kvs, prev_kv: previous, prev_kvs: deleted } = Printed.parse(JSON.parse(json))
  const { revision } = header
  switch (kind) {
    case 'put':
      return { revision, ...(previous === undefined ? {} : { prevKvs: [keyValue(previous)] }) }
    case 'range':
      return { revision, kvs: kvs.map(keyValue), count: kvs.length }
    case 'delete':
      return { revision, deleted: deleted.length, prevKvs: deleted.map(keyValue) }
    default:
      return kind satisfies never
  }
}

function keyValue(kv: z.infer<typeof PrintedKeyValue>): KeyValue {
  return {
    key: Buffer.from(kv.key, 'base64').toString(),
    value: Buffer.from(kv.value, 'base64').toString(),
    createRevision: kv.create_revision,
    modRevision: kv.mod_revision,
    version: kv.version,
    lease: String(kv.lease),
  }
}
