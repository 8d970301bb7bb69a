/** A Secret with a CA and a pair, as a user brings it for spec.tls. */
import { randomBytes } from 'node:crypto'
import { encoded } from '../resources/tls-secret.ts'
import { type Pair, pairOf } from '../tls/certificates.ts'
import { makeAuthority, makeLeaf } from '../tls/issue.ts'
import { TLS_FILES } from '../tls/leaves.ts'
import { KEY } from './objects.ts'
import type { World } from './world.ts'

/** Every member's name, and the one that the operator looks for. */
const EVERY_POD = '*.kv-headless.ns.svc.cluster.local'

export interface Brought {
  readonly authority: Pair
  readonly texts: Readonly<Record<string, string>>
}

interface Wish {
  /** Undefined: another CA. */
  readonly authority?: Pair
  readonly names?: readonly string[]
  readonly isServer?: boolean
  /** When it is made. */
  readonly atMs?: number
}

export async function brought(world: World, wish: Wish = {}): Promise<Brought> {
  const { names = [EVERY_POD], isServer = true, atMs = world.nowMs } = wish
  const making = { nowMs: atMs, randomBytes: (count: number) => randomBytes(count) }
  const authority = wish.authority ?? (await authorityOf(making))
  const request = {
    secret: 'serverTls' as const,
    files: TLS_FILES,
    commonName: 'brought',
    names,
    hosts: [],
    purposes: isServer ? ['serverAuth' as const] : [],
  }
  const { certificate, key } = await makeLeaf(request, authority, making)
  return { authority, texts: { 'ca.crt': authority.certificate.pem, 'tls.crt': certificate, 'tls.key': key } }
}

export async function authorityOf(making: Parameters<typeof makeAuthority>[1]): Promise<Pair> {
  const { certificate, key } = await makeAuthority('issuer', making)
  const pair = pairOf(certificate, key)
  if (pair === undefined) throw new Error('a CA that cannot be read')
  return pair
}

export function putSecret(world: World, name: string, texts: Readonly<Record<string, string>>): void {
  const data = Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, encoded(text)]))
  world.put({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: KEY.namespace }, data })
}
