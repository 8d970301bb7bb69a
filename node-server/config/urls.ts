/** URLs as etcd's flags take them: a scheme, a host and a port and nothing else, or a unix socket. Pure. */
import { isIP } from 'node:net'
import { err, ok, type Result } from '../../lib/result.ts'

/** To listen, the host must be an address of this machine, not a name that might be elsewhere. */
export type URLPurpose = 'listen' | 'advertise'

const FORM = /^([a-z]+):\/\/(\[[^\]]*\]|[^:/?#@\s]*):(\d{1,5})$/i
const UNIX_FORM = /^unixs?:\/\/([^\s?#]+)$/i

/** Comma-separated. */
export function parseURLs(text: string, purpose: URLPurpose): Result<readonly string[], string> {
  const urls: string[] = []
  for (const part of text.split(',')) {
    const url = part.trim()
    const problem = refuseURL(url, purpose)
    if (problem !== undefined) return err(problem)
    if (!urls.includes(url)) urls.push(url)
  }
  return ok(urls)
}

function refuseURL(url: string, purpose: URLPurpose): string | undefined {
  if (/^unixs?:/i.test(url))
    return UNIX_FORM.test(url) ? undefined : `'${url}' is not of the form unix:///path/of/socket`
  const [, scheme = '', host = '', port = ''] = FORM.exec(url) ?? []
  if (scheme === '') return `'${url}' is not of the form http://host:port`
  if (!/^https?$/i.test(scheme)) return `'${url}' has the scheme ${scheme}: it must be http, https, unix or unixs`
  if (Number(port) > 65_535) return `'${url}' has a port beyond 65535`
  if (host === '') return `'${url}' has no host`
  const isAddress = host === 'localhost' || isIP(host.replace(/^\[(.*)\]$/, '$1')) !== 0
  if (purpose === 'listen' && !isAddress)
    return `'${url}' names a host: to listen, give an IP address, such as http://0.0.0.0:${port}`
  return undefined
}

/** The scheme says so: https or unixs. */
export function isSecureURL(url: string): boolean {
  return /^(https|unixs):/i.test(url)
}

/** What is listened on, whatever the scheme; undefined for port 0, which is never taken. */
export function addressOf(url: string): string | undefined {
  const address = url.replace(/^[a-z]+:\/\//i, '')
  return address.endsWith(':0') ? undefined : address
}

export interface InitialMember {
  readonly name: string
  readonly peerURLs: readonly string[]
}

/** `name=url,name=url`; a name that comes twice is one member with two URLs, as in etcd. */
export function parseInitialCluster(text: string): Result<readonly InitialMember[], string> {
  const urlsByName = new Map<string, string[]>()
  const owners = new Map<string, string>()
  for (const part of text.split(',')) {
    const [name = '', url] = part.trim().split(/=(.*)/s)
    if (name === '' || url === undefined) return err(`'${part.trim()}' is not of the form name=http://host:port`)
    const problem = refuseURL(url, 'advertise')
    if (problem !== undefined) return err(problem)
    const owner = owners.get(url)
    if (owner !== undefined)
      return err(`'${url}' is given twice, for ${owner} and for ${name}: each member has its own`)
    owners.set(url, name)
    urlsByName.set(name, [...(urlsByName.get(name) ?? []), url])
  }
  return ok([...urlsByName].map(([name, peerURLs]) => ({ name, peerURLs })))
}
