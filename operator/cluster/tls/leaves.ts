/** Which certificates a cluster is to have, in which Secret and for which names. Pure. */
import type { RaftCluster } from '../../api/raft-cluster.ts'
import type { TlsSide } from '../../api/tls.ts'
import { hostName, names, type TlsSecret } from '../resources/names.ts'
import type { Purpose } from './certificates.ts'

/** Clocks differ by less: what is made now is valid everywhere at once. */
export const BACKDATED_MS = 5 * 60_000

/** The first is the one that members mount, and trust what it says. */
export const SECRETS_OF: Readonly<Record<TlsSide, readonly [TlsSecret, ...TlsSecret[]]>> = {
  peer: ['peerTls'],
  client: ['serverTls', 'operatorTls', 'clientTls', 'backupTls'],
}

/** The operator alone reads these. */
export const AUTHORITY_OF: Readonly<Record<TlsSide, TlsSecret>> = { peer: 'peerCa', client: 'clientCa' }

export const BUNDLE_FILE = 'ca.crt'

/** Keys of a pair in a Secret. */
export interface Files {
  readonly certificate: string
  readonly key: string
}

export const TLS_FILES: Files = { certificate: 'tls.crt', key: 'tls.key' }
/** In a Secret that a user brings: what the operator and applications show, where it is not what members show. */
export const CLIENT_FILES: Files = { certificate: 'client.crt', key: 'client.key' }
/** There, too: what pods that take backups show, where it is not what applications show. */
export const BACKUP_FILES: Files = { certificate: 'backup.crt', key: 'backup.key' }
/** In the Secret of a CA: the one that still signs while not everybody trusts the newest. */
export const PREVIOUS_FILES: Files = { certificate: 'previous.crt', key: 'previous.key' }

export interface LeafRequest {
  readonly secret: TlsSecret
  readonly files: Files
  readonly commonName: string
  /** Names and addresses that it is made for. */
  readonly names: readonly string[]
  /** Names that it is asked for by members and the operator: whoever made it, it must be valid for these. */
  readonly hosts: readonly string[]
  /** What it is used for. */
  readonly purposes: readonly Purpose[]
}

/** A member shows the same to all clients, since the operator and they know it under the names of its Services. */
export function leavesOf(cluster: RaftCluster, side: TlsSide, ordinals: Iterable<number>): readonly LeafRequest[] {
  const extra = cluster.spec.tls[side].extraNames ?? []
  if (side === 'peer') {
    return [...ordinals].map((ordinal) => ({
      secret: 'peerTls',
      files: podFiles(cluster, ordinal),
      commonName: names.pod(cluster, ordinal),
      names: unique([...podNames(cluster, names.pod(cluster, ordinal)), ...LOCAL, ...extra]),
      hosts: [hostName(cluster, ordinal)],
      purposes: ['serverAuth', 'clientAuth'],
    }))
  }
  const services = [names.clientService(cluster), names.headlessService(cluster)]
  const hosts = [...services.flatMap((name) => serviceNames(cluster, name)), ...podNames(cluster, '*')]
  const isAsked = cluster.spec.tls.client.clientCertificates !== 'None'
  const application = {
    commonName: names.clientService(cluster),
    names: [],
    hosts: [],
    purposes: isAsked ? ['clientAuth' as const] : [],
  }
  return [
    {
      secret: 'serverTls',
      files: TLS_FILES,
      commonName: names.clientService(cluster),
      names: unique([...hosts, ...LOCAL, ...extra]),
      hosts: unique([serverName(cluster), ...[...ordinals].map((ordinal) => hostName(cluster, ordinal))]),
      purposes: ['serverAuth'],
    },
    { ...application, secret: 'operatorTls', files: TLS_FILES, commonName: 'raftcluster-operator' },
    { ...application, secret: 'clientTls', files: TLS_FILES },
    // A name of its own: backups need root, and applications must not have it with them.
    { ...application, secret: 'backupTls', files: TLS_FILES, commonName: `${cluster.name}-backup` },
  ]
}

/** What it is made for: what a server shows may be shown to another one, too. */
export function usages({ purposes }: LeafRequest): readonly Purpose[] {
  return purposes.includes('serverAuth') ? ['serverAuth', 'clientAuth'] : ['clientAuth']
}

/** Under this name the operator knows every member, whatever its address: they show the same certificate, which is for all pods. */
export function serverName(cluster: RaftCluster): string {
  return hostName(cluster, 0)
}

export function podFiles(cluster: RaftCluster, ordinal: number): Files {
  const pod = names.pod(cluster, ordinal)
  return { certificate: `${pod}.crt`, key: `${pod}.key` }
}

const LOCAL = ['localhost', '127.0.0.1', '::1']

function serviceNames({ namespace, spec }: RaftCluster, service: string): readonly string[] {
  return [
    service,
    `${service}.${namespace}`,
    `${service}.${namespace}.svc`,
    `${service}.${namespace}.svc.${spec.clusterDomain}`,
  ]
}

function podNames(cluster: RaftCluster, pod: string): readonly string[] {
  return serviceNames(cluster, names.headlessService(cluster)).map((service) => `${pod}.${service}`)
}

function unique(all: readonly string[]): readonly string[] {
  return [...new Set(all)]
}
