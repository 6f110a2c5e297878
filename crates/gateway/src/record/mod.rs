//! What every request took: the live list, figures by client and backend, and the
//! rows for the request log. Recording never delays a request.
