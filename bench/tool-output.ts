/** What etcd's benchmark prints, and our load program with its package (go.etcd.io/etcd/pkg/v3/report). Pure. */
import { err, ok, type Result } from '../lib/result.ts'

export interface Report {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** A load of which a request failed is none: what it measured is not what it is called. */
export function parseReport(text: string): Result<Report, string> {
  const [, errors] = /Error distribution:\n((?:\s+\[\d+\].*\n?)+)/.exec(text) ?? []
  if (errors !== undefined) return err(`requests failed: ${errors.trim()}`)
  const perSecond = numberIn(text, /Requests\/sec:\s+([\d.]+)/)
  const [p50, p99] = [numberIn(text, /\b50% in ([\d.]+) secs/), numberIn(text, /\b99% in ([\d.]+) secs/)]
  if (perSecond === undefined || p50 === undefined || p99 === undefined) return err(`no report in: ${text.slice(-500)}`)
  return ok({ perSecond, p50Ms: p50 * 1000, p99Ms: p99 * 1000 })
}

/** In seconds. */
export const parseGap = (text: string): number | undefined => numberIn(text, /Longest gap:\s+([\d.]+) secs/)

function numberIn(text: string, pattern: RegExp): number | undefined {
  const [, digits] = pattern.exec(text) ?? []
  return digits === undefined ? undefined : Number(digits)
}
