/**
 * Every pod has an address of its own in 127.N.0.0/16, which on Linux needs no set-up. A pod that is recreated under its
 * name gets its address again, unlike in Kubernetes: what a person has typed into etcdctl stays right.
 */
import { readFileSync } from 'node:fs'
import { replaceFile } from './replace-file.ts'

/** The first 256 are the nodes'. */
const FIRST = 256
const LAST = 65_000

export interface Network {
  /** The N of 127.N.0.0/16. */
  readonly octet: number
}

export function addressOf({ octet }: Network, index: number): string {
  return `127.${octet}.${Math.floor(index / 256)}.${index % 256}`
}

export class Addresses {
  readonly #path: string
  readonly #network: Network
  readonly #indexes: Map<string, number>
  readonly #inUse = new Set<string>()

  /** `path` keeps what was given; a file that cannot be read counts as empty. */
  constructor(network: Network, path: string) {
    this.#network = network
    this.#path = path
    this.#indexes = readTable(path)
  }

  /** `key` is the pod's namespace and name. */
  take(key: string): string {
    this.#inUse.add(key)
    const known = this.#indexes.get(key)
    if (known !== undefined) return addressOf(this.#network, known)
    const taken = new Set(this.#indexes.values())
    let index = FIRST + 1
    while (taken.has(index) && index < LAST) index++
    if (index === LAST) index = this.#takeOver()
    this.#indexes.set(key, index)
    replaceFile(this.#path, JSON.stringify(Object.fromEntries(this.#indexes)))
    return addressOf(this.#network, index)
  }

  release(key: string): void {
    this.#inUse.delete(key)
  }

  /** All were given once: that of a pod which is no more. */
  #takeOver(): number {
    for (const [key, index] of this.#indexes) {
      if (this.#inUse.has(key)) continue
      this.#indexes.delete(key)
      return index
    }
    throw new Error(`no address is left: ${this.#inUse.size} pods run`)
  }
}

function readTable(path: string): Map<string, number> {
  try {
    const table: unknown = JSON.parse(readFileSync(path, 'utf8'))
    const rows = typeof table === 'object' && table !== null ? Object.entries(table) : []
    return new Map(rows.flatMap(([key, index]) => (typeof index === 'number' ? [[key, index] as const] : [])))
  } catch {
    return new Map()
  }
}
