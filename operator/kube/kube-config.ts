/**
 * Which API server, and as whom: $KUBECONFIG, ~/.kube/config or the pod's own service account, read with the parts of
 * @kubernetes/client-node that do so. Its entry point also loads typed models of the whole API, 60 MB that nobody here
 * looks at; so that is loaded only for what needs it: several files in $KUBECONFIG, Windows, and users with one of the
 * old credential plugins that kubectl has dropped (oidc, gcp, azure).
 */
import { existsSync, readFileSync } from 'node:fs'
import type { RequestOptions } from 'node:https'
import { isIPv6 } from 'node:net'
import { delimiter, dirname, join, resolve } from 'node:path'
import type { Cluster, Context, User } from '@kubernetes/client-node/dist/config_types.js'
import { newClusters, newContexts, newUsers } from '@kubernetes/client-node/dist/config_types.js'
import { ExecAuth } from '@kubernetes/client-node/dist/exec_auth.js'
import { FileAuth } from '@kubernetes/client-node/dist/file_auth.js'
import { isRecord } from './object.ts'

/** The part of the library's `KubeConfig` that a connection needs. */
export interface ConnectionConfig {
  getCurrentCluster(): Pick<Cluster, 'server' | 'proxyUrl'> | null
  getCurrentContext(): string
  getContextObject(name: string): Pick<Context, 'namespace'> | null
  /** Reads certificates and tokens from where they are now, and runs a credential plugin where there is one. */
  applyToHTTPSOptions(options: RequestOptions): Promise<void>
}

/** Reads everything afresh; throws when a file is missing or is no kubeconfig. */
export type ConfigLoader = () => ConnectionConfig

/** Where a pod finds its service account. */
const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'

type Environment = Readonly<Record<string, string | undefined>>

export async function configLoader(
  environment: Environment,
  platform: string = process.platform,
): Promise<ConfigLoader> {
  const files = (environment['KUBECONFIG'] ?? '').split(delimiter).filter((file) => file !== '')
  if (files.length > 1 || platform === 'win32') return libraryLoader()
  const file = files[0] ?? homeConfig(environment)
  if (file === undefined) return () => inClusterConfig(environment, SERVICE_ACCOUNT)
  const { parse } = await import('yaml')
  const load: ConfigLoader = () => fileConfig(parse(readFileSync(file, 'utf8')), dirname(file))
  return needsLibrary(parse(readFileSync(file, 'utf8'))) ? libraryLoader() : load
}

async function libraryLoader(): Promise<ConfigLoader> {
  const { KubeConfig } = await import('@kubernetes/client-node')
  return () => {
    const config = new KubeConfig()
    config.loadFromDefault()
    return config
  }
}

function homeConfig({ HOME: home }: Environment): string | undefined {
  const file = home === undefined || home === '' ? undefined : join(home, '.kube', 'config')
  return file !== undefined && existsSync(file) ? file : undefined
}

function needsLibrary(config: unknown): boolean {
  const users: readonly unknown[] = isRecord(config) && Array.isArray(config['users']) ? config['users'] : []
  return users.some((entry) => isRecord(entry) && isRecord(entry['user']) && isRecord(entry['user']['auth-provider']))
}

/** `config` as parsed; paths in it are relative to `directory`. */
export function fileConfig(config: unknown, directory: string): ConnectionConfig {
  const { clusters, users, contexts, 'current-context': current } = isRecord(config) ? config : {}
  const context = newContexts(contexts).find(({ name }) => name === current)
  if (context === undefined) throw new Error('the kubeconfig has no current context')
  const cluster = newClusters(clusters).find(({ name }) => name === context.cluster)
  const user = newUsers(users).find(({ name }) => name === context.user)
  const absolute = (file: string | undefined): string => (file ? resolve(directory, file) : '')
  return connectionConfig(
    context,
    cluster && { ...cluster, caFile: absolute(cluster.caFile) },
    user && { ...user, certFile: absolute(user.certFile), keyFile: absolute(user.keyFile) },
  )
}

/** Of a pod. `directory` is where its service account is mounted. */
export function inClusterConfig(environment: Environment, directory: string): ConnectionConfig {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = environment
  if (host === undefined || port === undefined) {
    throw new Error('there is neither a kubeconfig ($KUBECONFIG, ~/.kube/config) nor a service account of a pod')
  }
  const namespaceFile = join(directory, 'namespace')
  const namespace = existsSync(namespaceFile) ? { namespace: readFileSync(namespaceFile, 'utf8').trim() } : {}
  const server = `https://${isIPv6(host) ? `[${host}]` : host}:${port}`
  return connectionConfig(
    { name: 'pod', cluster: 'pod', user: 'pod', ...namespace },
    { name: 'pod', server, caFile: join(directory, 'ca.crt'), skipTLSVerify: false },
    { name: 'pod', authProvider: { name: 'tokenFile', config: { tokenFile: join(directory, 'token') } } },
  )
}

function connectionConfig(context: Context, cluster: Cluster | undefined, user: User | undefined): ConnectionConfig {
  if (cluster?.server.startsWith('http:') === true && !cluster.skipTLSVerify) {
    throw new Error(`${cluster.server} is plain HTTP: the kubeconfig must say insecure-skip-tls-verify for that`)
  }
  const plugins = [new ExecAuth(), new FileAuth()]
  return {
    getCurrentCluster: () => cluster ?? null,
    getCurrentContext: () => context.name,
    getContextObject: (name) => (name === context.name ? context : null),
    applyToHTTPSOptions: async (options) => {
      options.headers = {}
      if (cluster !== undefined) applyCluster(cluster, options)
      if (user === undefined) return
      applyUser(user, options)
      // What a plugin gives replaces what the file says, but for a token.
      await plugins.find((plugin) => plugin.isAuthProvider(user))?.applyAuthentication(user, options)
      if (user.token) options.headers = { ...options.headers, Authorization: `Bearer ${user.token}` }
    },
  }
}

function applyCluster(cluster: Cluster, options: RequestOptions): void {
  if (cluster.skipTLSVerify) options.rejectUnauthorized = false
  if (cluster.tlsServerName) options.servername = cluster.tlsServerName
  const ca = contentOf(cluster.caFile, cluster.caData)
  if (ca !== undefined) options.ca = ca
}

function applyUser(user: User, options: RequestOptions): void {
  const cert = contentOf(user.certFile, user.certData)
  const key = contentOf(user.keyFile, user.keyData)
  if (cert !== undefined) options.cert = cert
  if (key !== undefined) options.key = key
  if (user.impersonateUser) options.headers = { 'Impersonate-User': user.impersonateUser }
  if (user.username) options.auth = `${user.username}:${user.password}`
}

function contentOf(file: string | undefined, base64: string | undefined): Buffer | undefined {
  if (file) return readFileSync(file)
  return base64 ? Buffer.from(base64, 'base64') : undefined
}
