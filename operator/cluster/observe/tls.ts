/** The Secrets of a cluster's TLS, and with what the operator calls its members. */
import type { RaftCluster } from '../../api/raft-cluster.ts'
import { SIDES } from '../../api/tls.ts'
import type { ObservedObjects } from '../observed.ts'
import type { AdminIdentity, KubeObject } from '../ports.ts'
import { names } from '../resources/names.ts'
import { AUTHORITY_OF, BUNDLE_FILE, SECRETS_OF, serverName, TLS_FILES } from '../tls/leaves.ts'
import { pairIn, textIn } from '../tls/material.ts'
import { isIssuedHere } from '../tls/scheme.ts'
import type { Reading } from './reading.ts'

/** Each by name, and only those of a side that has TLS. */
export async function readTls(reading: Reading, cluster: RaftCluster): Promise<ObservedObjects['tls']> {
  const wanted = SIDES.filter((side) => isIssuedHere(cluster, side)).flatMap((side) => [
    AUTHORITY_OF[side],
    ...SECRETS_OF[side],
  ])
  const found = await Promise.all(
    wanted.map(async (secret) => {
      const object = await reading.get('v1', 'Secret', names.tls(cluster, secret), (one) => one)
      return object === undefined ? [] : [[secret, object] as const]
    }),
  )
  return new Map(found.flat())
}

/** Without a certificate of its own it calls all the same, and is refused where one is asked for. */
export function identityOf(cluster: RaftCluster, secret: KubeObject | undefined): AdminIdentity | undefined {
  const pair = pairIn(secret, TLS_FILES)
  if (pair === undefined) return undefined
  return {
    trusted: textIn(secret, BUNDLE_FILE),
    certificate: pair.certificate.pem,
    key: pair.key,
    serverName: serverName(cluster),
  }
}
