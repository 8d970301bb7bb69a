/** Puts, each of a key of its own, and the ledger of what was acknowledged with which revision. */
import { setTimeout as delay } from 'node:timers/promises'
import { KeyValue } from '../../node-server/proto/generated/etcd/kv.ts'
import type { Cluster } from '../limits/cluster.ts'
import { MemberClient } from '../limits/client.ts'
import { PUT, RANGE } from '../twin/methods.ts'

const AT_ONCE = 8
const PUT_LIMIT_MS = 3000
const PAGE = 5000n
const FILLER = 'v'.repeat(200)

export class Writer {
  readonly #cluster: Cluster
  /** By key. A put without an answer has none: it may be there or not. */
  readonly #revisions = new Map<string, number>()
  readonly #unknown = new Set<string>()
  readonly #writing: Promise<unknown>
  #lastRevision = 0
  #next = 0
  #isStopped = false

  constructor(cluster: Cluster) {
    this.#cluster = cluster
    this.#writing = Promise.all(Array.from({ length: AT_ONCE }, (_, i) => this.#write(i)))
  }

  /** Of the last put that was acknowledged. */
  get revision(): number {
    return this.#lastRevision
  }

  get acknowledged(): number {
    return this.#revisions.size
  }

  async #write(lane: number): Promise<void> {
    const { members } = this.#cluster
    const member = members[lane % members.length]
    if (member === undefined) return
    const client = this.#cluster.connect(member)
    while (!this.#isStopped) {
      const key = `key-${String(this.#next++).padStart(8, '0')}`
      try {
        const request = { key: Buffer.from(key), value: Buffer.from(key + FILLER) }
        const { header } = await client.call(PUT, request, PUT_LIMIT_MS)
        const revision = Number(header?.revision)
        this.#revisions.set(key, revision)
        this.#lastRevision = Math.max(this.#lastRevision, revision)
      } catch {
        this.#unknown.add(key)
        await delay(50)
      }
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#writing
  }

  /** Against what a member at that address has; undefined when it is what the ledger says of that revision. */
  async compare(address: string, revision: number): Promise<string | undefined> {
    const client = new MemberClient(address)
    const found = new Map<string, number>()
    try {
      for (let key = Buffer.from('key-'); ;) {
        const page = await client.call(RANGE, { key, rangeEnd: Buffer.from('key.'), limit: PAGE })
        for (const { key: one, modRevision, value } of page.kvs.map((bytes) => KeyValue.decode(bytes))) {
          if (value.toString() !== one.toString() + FILLER) return `${one.toString()} has another value`
          found.set(one.toString(), Number(modRevision))
        }
        const last = page.kvs.at(-1)
        if (!page.more || last === undefined) break
        key = Buffer.concat([KeyValue.decode(last).key, Buffer.of(0)])
      }
    } finally {
      client.close()
    }
    for (const [key, written] of this.#revisions)
      if (found.get(key) !== (written <= revision ? written : undefined))
        return `${key} was written at ${written}, and is there at ${found.get(key) ?? 'none'}`
    for (const [key, at] of found)
      if (!this.#revisions.has(key) && !this.#unknown.has(key)) return `${key} at ${at} was never written`
    return undefined
  }
}
