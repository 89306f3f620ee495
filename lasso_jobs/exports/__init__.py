"""Exports of models: files that other tools predict with, without this package.

A model becomes a `lasso_jobs.exports.linear_form.LinearForm`, the terms that it adds up. Each
format writes those in a module of its own; `lasso_jobs.exports.export` knows them all.
"""
