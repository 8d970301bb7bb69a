/** The Secrets of a cluster's TLS, those that others fill for it, and with what the operator calls its members. */
import type { RaftCluster } from '../../api/raft-cluster.ts'
import { SIDES } from '../../api/tls.ts'
import type { Observed, ObservedObjects } from '../observed.ts'
import type { AdminIdentity, KubeObject } from '../ports.ts'
import { CERTIFICATE, certificateName } from '../resources/certificate.ts'
import { names } from '../resources/names.ts'
import { AUTHORITY_OF, BUNDLE_FILE, SECRETS_OF, serverName, TLS_FILES } from '../tls/leaves.ts'
import { isInUse, usesCertManager } from '../tls/scheme.ts'
import { pairIn, textIn } from '../tls/secrets.ts'
import { wantedLeaves } from '../tls/wanted.ts'
import type { Reading } from './reading.ts'

/** Each by name, and only those of a side that has TLS. */
export async function readTls(reading: Reading, cluster: RaftCluster): Promise<ObservedObjects['tls']> {
  const wanted = SIDES.filter((side) => isInUse(cluster, side)).flatMap((side) => [
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

/** What others fill with certificates. */
export async function readSources(
  reading: Reading,
  observed: Observed,
): Promise<Pick<ObservedObjects, 'sources' | 'certificates'>> {
  const { cluster } = observed
  const wanted = SIDES.flatMap((side) => {
    const { mode, secretRef } = cluster.spec.tls[side]
    if (mode === 'Secret') return secretRef?.name ?? []
    if (mode !== 'CertManager') return []
    return wantedLeaves(observed, side).map((request) => certificateName(cluster, request))
  })
  const read = async (name: string): Promise<readonly (readonly [string, KubeObject])[]> => {
    const object = await reading.get('v1', 'Secret', name, (one) => one)
    return object === undefined ? [] : [[name, object]]
  }
  const [certificates, ...secrets] = await Promise.all([
    SIDES.some((side) => usesCertManager(cluster, side)) ? readCertificates(reading) : new Map<string, KubeObject>(),
    ...[...new Set(wanted)].map(read),
  ])
  return { sources: new Map(secrets.flat()), certificates }
}

async function readCertificates(reading: Reading): Promise<ReadonlyMap<string, KubeObject> | undefined> {
  const found = await reading.listOf(CERTIFICATE)
  return found && new Map(found.map((object) => [object.metadata.name, object]))
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
