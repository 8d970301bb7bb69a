/** One watch stream of a client, its responses as lines of text. */
import assert from 'node:assert/strict'
import { Metadata, type ClientDuplexStream, type ServiceError } from '@grpc/grpc-js'
import { Event_EventType as EventType, KeyValue } from '../../../proto/generated/etcd/kv.ts'
import { WatchRequest, WatchResponse, type WatchCreateRequest } from '../../../proto/generated/etcd/rpc.ts'
import { client } from './api-fixture.ts'

const same = (bytes: Buffer): Buffer => bytes

interface Create extends Omit<Partial<WatchCreateRequest>, 'key' | 'rangeEnd' | 'startRevision' | 'watchId'> {
  readonly key?: string
  readonly rangeEnd?: string
  readonly startRevision?: number
  readonly watchId?: number
}

export class WatchClient {
  readonly call: ClientDuplexStream<Buffer, Buffer>
  readonly #lines: string[] = []
  #hasEnded = false
  #wake: () => void = () => undefined

  constructor(headers: Readonly<Record<string, string>> = {}) {
    const metadata = new Metadata()
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value)
    this.call = client.makeBidiStreamRequest('/etcdserverpb.Watch/Watch', same, same, metadata)
    this.call.on('data', (bytes: Buffer) => this.#add(describe(bytes)))
    this.call.on('error', (error: ServiceError) => {
      this.#hasEnded = true
      this.#add(`${error.code} ${error.details}`)
    })
  }

  #add(line: string): void {
    this.#lines.push(line)
    this.#wake()
  }

  /** The next `count` responses, or the error that ended the stream. */
  async next(count = 1): Promise<readonly string[]> {
    while (this.#lines.length < count) await new Promise<void>((resolve) => (this.#wake = resolve))
    return this.#lines.splice(0, count)
  }

  send(requestUnion: WatchRequest['requestUnion']): void {
    this.raw(WatchRequest.encode({ requestUnion }).finish())
  }

  raw(bytes: Uint8Array): void {
    this.call.write(Buffer.from(bytes))
  }

  create({ key = '', rangeEnd = '', startRevision = 0, watchId = 0, ...fields }: Create): void {
    const value: WatchCreateRequest = {
      key: Buffer.from(key, 'latin1'),
      rangeEnd: Buffer.from(rangeEnd, 'latin1'),
      startRevision: BigInt(startRevision),
      watchId: BigInt(watchId),
      progressNotify: false,
      filters: [],
      prevKv: false,
      fragment: false,
      ...fields,
    }
    this.send({ $case: 'createRequest', value })
  }

  cancel(watchId: number): void {
    this.send({ $case: 'cancelRequest', value: { watchId: BigInt(watchId) } })
  }

  askProgress(): void {
    this.send({ $case: 'progressRequest', value: {} })
  }

  /** The client goes; resolves when it knows that. */
  async leave(): Promise<void> {
    this.call.cancel()
    while (!this.#hasEnded) await new Promise<void>((resolve) => (this.#wake = resolve))
  }
}

/** `@HEADER_REVISION #ID created canceled compact=N fragment "REASON" EVENT…` */
function describe(bytes: Buffer): string {
  const response = WatchResponse.decode(bytes)
  assert.ok(response.header !== undefined)
  const words = [`@${response.header.revision} #${response.watchId}`]
  if (response.created) words.push('created')
  if (response.canceled) words.push('canceled')
  if (response.compactRevision !== 0n) words.push(`compact=${response.compactRevision}`)
  if (response.fragment) words.push('fragment')
  if (response.cancelReason !== '') words.push(`"${response.cancelReason}"`)
  for (const { type, kv, prevKv } of response.events) {
    const previous = prevKv === undefined ? '' : `<${keyValue(prevKv)}`
    words.push(`${type === EventType.DELETE ? 'del' : 'put'}(${keyValue(kv)}${previous})`)
  }
  return words.join(' ')
}

/** `KEY=VALUE`, long values as their size. */
function keyValue(bytes: Buffer | undefined): string {
  assert.ok(bytes !== undefined)
  const { key, value } = KeyValue.decode(bytes)
  return `${key.toString('latin1')}=${value.length > 100 ? value.length : value.toString()}`
}
