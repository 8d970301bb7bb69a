/** Answers in the form that Go's HTTP server gives them. */
import type { HttpResponse } from '../../../lib/http-exchange.ts'

/** Answers that are no JSON, errors above all; a client is told not to guess what they are. */
export function sendText(response: HttpResponse, status: number, text: string): void {
  response.setHeader('Content-Type', 'text/plain; charset=utf-8')
  response.setHeader('X-Content-Type-Options', 'nosniff')
  send(response, status, text)
}

export function sendJson(response: HttpResponse, status: number, json: string): void {
  response.setHeader('Content-Type', 'application/json')
  send(response, status, json)
}

export function sendMethodNotAllowed(response: HttpResponse, allowed: string): void {
  response.setHeader('Allow', allowed)
  sendText(response, 405, 'Method Not Allowed\n')
}

function send(response: HttpResponse, status: number, body: string): void {
  response.statusCode = status
  response.setHeader('Content-Length', Buffer.byteLength(body))
  response.end(body)
}
