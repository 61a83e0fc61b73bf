"""DICOMweb (PS3.18) under ``/dicom-web``: what the node holds, for programs and viewers.

Each service hands its routes as a list of ``Service``; ``routes`` joins them. An answer other than
what was asked for is raised (``refusing``) and becomes words in one place for the application.
"""
