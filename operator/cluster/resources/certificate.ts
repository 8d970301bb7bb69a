/** A Certificate of cert-manager, one for each of a cluster's certificates, and what it says of itself. Pure. */
import { z } from 'zod'
import { assert } from '../../../lib/assert.ts'
import type { RaftCluster } from '../../api/raft-cluster.ts'
import { LEAF_LIFE_MS, type TlsSide } from '../../api/tls.ts'
import type { ApplyObject, KubeObject } from '../ports.ts'
import { isAddress } from '../tls/certificates.ts'
import { type LeafRequest, usages } from '../tls/leaves.ts'
import { metadata, type TlsSecret } from './names.ts'

export const CERTIFICATE = { apiVersion: 'cert-manager.io/v1', kind: 'Certificate' } as const

const SUFFIXES: Readonly<Partial<Record<TlsSecret, string>>> = {
  peerTls: 'peer',
  serverTls: 'server',
  operatorTls: 'operator',
  clientTls: 'client',
  backupTls: 'backup',
}
const USAGES = { serverAuth: 'server auth', clientAuth: 'client auth' } as const
const HOUR_MS = 3_600_000

/** Also of the Secret that it fills. */
export function certificateName({ name }: Pick<RaftCluster, 'name'>, { secret, commonName }: LeafRequest): string {
  return `${secret === 'peerTls' ? commonName : name}-${SUFFIXES[secret]}-cert`
}

export function certificateFor(cluster: RaftCluster, side: TlsSide, request: LeafRequest): ApplyObject {
  const { issuerRef, renewBefore } = cluster.spec.tls[side]
  assert(issuerRef !== undefined, 'mode CertManager says who issues')
  const name = certificateName(cluster, request)
  const dnsNames = request.names.filter((host) => !isAddress(host))
  const ipAddresses = request.names.filter((host) => isAddress(host))
  return {
    ...CERTIFICATE,
    metadata: metadata(cluster, name),
    spec: {
      secretName: name,
      commonName: request.commonName,
      ...(dnsNames.length > 0 && { dnsNames }),
      ...(ipAddresses.length > 0 && { ipAddresses }),
      duration: `${LEAF_LIFE_MS / HOUR_MS}h`,
      ...(renewBefore !== undefined && { renewBefore }),
      usages: ['digital signature', ...usages(request).map((usage) => USAGES[usage])],
      privateKey: { algorithm: 'ECDSA', size: 256, rotationPolicy: 'Always' },
      issuerRef,
    },
  }
}

const Status = z.object({
  status: z
    .object({
      conditions: z
        .array(z.object({ type: z.string(), status: z.string(), message: z.string().default('') }))
        .default([]),
    })
    .prefault({}),
})

/** Why it is not issued, in the words of cert-manager; empty where it says nothing, or that all is well. */
export function issuingTrouble(certificate: KubeObject): string {
  const conditions = Status.safeParse(certificate).data?.status.conditions ?? []
  return conditions.find(({ type, status }) => type === 'Ready' && status !== 'True')?.message ?? ''
}
