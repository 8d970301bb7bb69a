/**
 * Loaded into every Node program that runs as a pod (`node --import`): what a network namespace, cluster DNS and a
 * container's host name would do, by three seams of Node itself. No privileges are needed for it, no change of the
 * programs, and etcdctl outside reaches the same addresses.
 *
 * - Listening on all addresses means: on the pod's own one.
 * - Names below `cluster.local` are looked up in the file that the kubelet keeps; other names as ever.
 * - When the kubelet dies, however it dies, its end of a pipe closes, and this process stops as at SIGTERM.
 *
 * Why not a DNS server: `dns.lookup`, which everything here connects with, asks the system's resolver, and that cannot
 * be pointed elsewhere without root.
 */
import dns from 'node:dns'
import type { LookupAddress, LookupOptions } from 'node:dns'
import { fstatSync, readFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import net from 'node:net'
import os from 'node:os'
import { isMainThread } from 'node:worker_threads'

/** Time to stop in order after the kubelet has gone. */
const STOP_MS = 10_000
/** The kubelet's end of this pipe closes with the kubelet. */
const LIFELINE_FD = 3

const { SANDBOX_POD_IP: podIP, SANDBOX_HOSTS: hostsFile, SANDBOX_NAMESPACE: namespace = 'default' } = process.env
const podName = process.env['HOSTNAME'] ?? ''

/** What a pod's own process starts inherits the variables, but not the pipe. */
function hasLifeline(): boolean {
  try {
    return fstatSync(LIFELINE_FD).isSocket()
  } catch {
    return false
  }
}

function followKubelet(): void {
  const lifeline = new net.Socket({ fd: LIFELINE_FD, readable: true, writable: false })
  lifeline.on('error', () => undefined)
  lifeline.on('close', () => {
    setTimeout(() => process.exit(1), STOP_MS).unref()
    process.kill(process.pid, 'SIGTERM')
  })
  lifeline.resume()
  lifeline.unref()
}

const ANYWHERE = new Set(['', '0.0.0.0', '::'])

/** Arguments of `listen` in each of its forms, with the pod's address where they name all of them. */
function narrowed(args: readonly unknown[], address: string): unknown[] {
  const [first, second, ...rest] = args
  if (typeof first === 'object' && first !== null && 'port' in first) {
    const host = 'host' in first ? first.host : undefined
    const isAnywhere = host === undefined || (typeof host === 'string' && ANYWHERE.has(host))
    return isAnywhere ? [{ ...first, host: address }, ...args.slice(1)] : [...args]
  }
  if (typeof first !== 'number') return [...args]
  if (typeof second === 'string') return ANYWHERE.has(second) ? [first, address, ...rest] : [...args]
  return second === undefined ? [first, address, ...rest] : [first, address, second, ...rest]
}

/** Overloads that are passed on as they come. */
function untyped(original: unknown): (...args: unknown[]) => unknown {
  return original as (...args: unknown[]) => unknown
}

function listenOnPodAddress(address: string): void {
  const listen = untyped(Reflect.get(net.Server.prototype, 'listen'))
  Reflect.set(net.Server.prototype, 'listen', function (this: net.Server, ...args: unknown[]): unknown {
    return Reflect.apply(listen, this, narrowed(args, address))
  })
}

const DOMAIN = 'cluster.local'

/** As a pod's resolver searches; undefined for a name that is not the cluster's. */
function clusterLookup(hostname: string, file: string): readonly string[] | undefined {
  const name = hostname.toLowerCase().replace(/\.$/, '')
  const table = new Map<string, string[]>()
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const [address = '', host = ''] = line.split(' ')
    const known = table.get(host)
    if (known === undefined) table.set(host, [address])
    else known.push(address)
  }
  for (const suffix of ['', `.${namespace}.svc.${DOMAIN}`, `.svc.${DOMAIN}`, `.${DOMAIN}`]) {
    const found = table.get(name + suffix)
    if (found !== undefined) return found
  }
  return name.endsWith(`.${DOMAIN}`) ? [] : undefined
}

type Found = { readonly addresses: readonly LookupAddress[] } | { readonly error: Error }

function lookIn(file: string, hostname: string): Found | undefined {
  if (net.isIP(hostname) !== 0) return undefined
  const found = clusterLookup(hostname, file)
  if (found === undefined) return undefined
  if (found.length > 0) return { addresses: found.map((address) => ({ address, family: 4 })) }
  const error = new Error(`getaddrinfo ENOTFOUND ${hostname}`)
  return { error: Object.assign(error, { code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname }) }
}

type Answer = (error: Error | null, address?: string | readonly LookupAddress[], family?: number) => void

function lookUpInCluster(file: string): void {
  const lookup = untyped(dns.lookup)
  Reflect.set(dns, 'lookup', (...args: unknown[]): unknown => {
    const [hostname, options] = args
    const done = args.at(-1)
    const found = typeof hostname === 'string' ? lookIn(file, hostname) : undefined
    if (found === undefined || !isAnswer(done)) return lookup(...args)
    return process.nextTick(() => {
      if ('error' in found) return done(found.error)
      if (wantsAll(options)) return done(null, found.addresses)
      done(null, found.addresses[0]?.address ?? '', 4)
    })
  })
  const promised = untyped(dns.promises.lookup)
  Reflect.set(dns.promises, 'lookup', async (hostname: string, options?: LookupOptions): Promise<unknown> => {
    const found = lookIn(file, hostname)
    if (found === undefined) return promised(hostname, options)
    if ('error' in found) throw found.error
    return wantsAll(options) ? found.addresses : found.addresses[0]
  })
}

function isAnswer(value: unknown): value is Answer {
  return typeof value === 'function'
}

function wantsAll(options: unknown): boolean {
  return typeof options === 'object' && options !== null && 'all' in options && options.all === true
}

// A thread of the program loads this, too: with a second reader the pipe would end unseen by the first.
if (isMainThread && hasLifeline()) followKubelet()
if (podIP !== undefined) listenOnPodAddress(podIP)
if (hostsFile !== undefined) lookUpInCluster(hostsFile)
if (podName !== '') Reflect.set(os, 'hostname', () => podName)
syncBuiltinESMExports()
