/** URLs as etcd's flags take them: a scheme, a host and a port, nothing else. Pure. */
import { isIP } from 'node:net'
import { err, ok, type Result } from '../lib/result.ts'

const FORM = /^([a-z]+):\/\/(\[[^\]]*\]|[^:/?#@\s]*):(\d{1,5})$/i

/** Comma-separated. `isForListening`: the host is an address of this machine, not a name that might be elsewhere. */
export function parseURLs(text: string, isForListening: boolean): Result<readonly string[], string> {
  const urls: string[] = []
  for (const part of text.split(',')) {
    const url = part.trim()
    const problem = refuseURL(url, isForListening)
    if (problem !== undefined) return err(problem)
    urls.push(url)
  }
  return ok(urls)
}

function refuseURL(url: string, isForListening: boolean): string | undefined {
  const [, scheme = '', host = '', port = ''] = FORM.exec(url) ?? []
  if (scheme === '') return `'${url}' is not of the form http://host:port`
  if (scheme.toLowerCase() !== 'http') return `'${url}' has the scheme ${scheme}, only http is there yet`
  if (Number(port) > 65_535) return `'${url}' has a port beyond 65535`
  if (host === '') return `'${url}' has no host`
  const isAddress = host === 'localhost' || isIP(host.replace(/^\[(.*)\]$/, '$1')) !== 0
  if (isForListening && !isAddress)
    return `'${url}' names a host: to listen, give an IP address, such as http://0.0.0.0:${port}`
  return undefined
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
    const problem = refuseURL(url, false)
    if (problem !== undefined) return err(problem)
    const owner = owners.get(url)
    if (owner !== undefined)
      return err(`'${url}' is given twice, for ${owner} and for ${name}: each member has its own`)
    owners.set(url, name)
    urlsByName.set(name, [...(urlsByName.get(name) ?? []), url])
  }
  return ok([...urlsByName].map(([name, peerURLs]) => ({ name, peerURLs })))
}
